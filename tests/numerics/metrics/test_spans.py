import numpy as np
import pytest

from leanformer.numerics.metrics import SpanF1

GOLD = [["B-X", "I-X", "O"], ["O", "O"], ["S-Y", "B-X", "O"]]
OURS = [["B-X", "I-X", "B-Y"], ["B-X", "O"], ["S-Y", "O", "O"]]


def test_statistics_count_spans_by_sentence() -> None:
    rows = SpanF1().statistics(OURS, GOLD)
    np.testing.assert_array_equal(rows, [[1, 2, 1], [0, 1, 0], [1, 1, 2]])
    assert SpanF1().score(OURS, GOLD) == pytest.approx(2 * 2 / (4 + 3))
    assert SpanF1().value(np.array([0, 2, 1]) @ rows) == pytest.approx(2 * 1 / (3 + 2))


def test_no_spans_at_all_are_no_error() -> None:
    assert SpanF1().score([["O"]], [["O"]]) == 1
    assert SpanF1().score([], []) == 1
    assert SpanF1().score([["O"]], [["B-X"]]) == 0


def test_spans_of_another_sentence_are_wrong() -> None:
    rows = SpanF1().statistics(OURS, GOLD)
    np.testing.assert_array_equal(SpanF1().exchanged(rows[:1], rows[2:]), [[0, 1, 1]])


def test_sentences_without_an_answer_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        SpanF1().statistics(OURS[:2], GOLD)
