from typing import Any

import numpy as np
import pytest

from leanformer.runtime.hashed_ngrams.kernel import ROW_BITS
from leanformer.runtime.hashed_ngrams.numbers import check_numbers, table_of


def numbers() -> dict[str, Any]:
    return {
        "buckets": np.array([1, 5, 7], np.uint32),
        "idf": np.array([1, 1023, 9], np.uint16),
        "weights": np.arange(9, dtype=np.int8).reshape(3, 3),
        "scale": np.ones(3),
        "b": np.zeros(3),
    }


def test_the_table_points_to_padded_rows() -> None:
    check_numbers(numbers(), 3, 3, pairs=False)
    table = table_of(numbers(), 3)
    assert table.bits == 3
    assert np.flatnonzero(table.entries).tolist() == [1, 5, 7]
    assert table.entries[5] == 1 + (1023 << ROW_BITS)
    assert table.rows.shape == (3, 16)
    assert table.rows[2, :4].tolist() == [6, 7, 8, 0]


@pytest.mark.parametrize(
    ("bits", "change", "message"),
    [
        (0, {}, "bits is 0, not an integer from 1 to 24"),
        (25, {}, "bits is 25, not an integer"),
        (True, {}, "bits is True, not an integer"),
        (2, {}, r"buckets do not rise, or reach beyond 2\^2"),
        (3, {"buckets": np.array([5, 5, 7], np.uint32)}, "buckets do not rise"),
        (3, {"buckets": np.array([[1, 5, 7]], np.uint32)}, r"buckets is uint32 \(1, 3\), not"),
        (3, {"idf": np.array([0, 1, 2], np.uint16)}, "idf is not from 1 to 1023 everywhere"),
        (3, {"idf": np.array([1, 1024, 2], np.uint16)}, "idf is not from 1 to 1023 everywhere"),
        (3, {"weights": np.ones((3, 2), np.int8)}, r"weights is int8 \(3, 2\), not int8 \(3, 3\)"),
        (3, {"weights": np.ones((3, 3), np.int16)}, "weights is int16"),
        (3, {"scale": np.array([1, np.inf, 1])}, "scale has numbers that are not finite"),
        (3, {"levels": np.ones((2, 17, 3))}, r"it holds \['b', .*'levels'.*\], not"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(bits: Any, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_numbers(numbers() | change, bits, 3, pairs=False)


def test_pairs_need_their_levels() -> None:
    with pytest.raises(ValueError, match=r"not \['b', .*'levels'"):
        check_numbers(numbers(), 3, 3, pairs=True)
    check_numbers(numbers() | {"levels": np.ones((2, 17, 3))}, 3, 3, pairs=True)


def test_too_many_buckets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leanformer.runtime.hashed_ngrams.numbers.MOST_ROWS", 2)
    with pytest.raises(ValueError, match="3 buckets, and 2 are the most"):
        check_numbers(numbers(), 3, 3, pairs=False)
