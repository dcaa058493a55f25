import numpy as np
import pytest

from leanformer.runtime.hashed_ngrams.kernel import count
from leanformer.runtime.hashed_ngrams.reading import read_texts, read_words, shape, windows


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Paris", "Xx"), ("NATO", "X"), ("B2B", "XdX"), ("U.S.", "X.X."), ("1,250", "d,d"),
        ("我们", "x"), ("", ""), ("a b", "x"),
    ],
)  # fmt: skip
def test_a_shape_shortens_runs(word: str, expected: str) -> None:
    assert shape(word) == expected


def test_a_window_marks_words_by_their_distance() -> None:
    mark = [chr(0xE000 + place) for place in range(5)]  # -2 to 2
    form = [chr(0xE010 + place) for place in range(3)]  # -1 to 1
    rows = windows(["I", "saw", "Paris", "."])
    assert rows[2] == " ".join(
        map(
            "".join,
            zip([*mark[:4], *form], ["i", "saw", "paris", ".", "x", "Xx", "."], strict=True),
        )
    )
    assert rows[0].split()[0] == mark[2] + "i"
    assert windows([]) == []


def test_words_keep_their_case_and_texts_do_not() -> None:
    same, other = count(read_texts(["Paris", "paris"])), count(read_words([["Paris"], ["paris"]]))
    first, second = np.split(same.keys, same.ends[:-1])
    np.testing.assert_array_equal(first, second)
    first, second = np.split(other.keys, other.ends[:-1])
    assert set(first.tolist()) != set(second.tolist())


def test_a_word_with_a_space_inside_does_not_reach_into_its_window() -> None:
    (row,) = windows(["New York"])
    assert len(row.split()) == 2  # the word, and its shape
