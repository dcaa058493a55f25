import numpy as np
import pytest
from scipy.stats import binomtest

from leanformer.measure.majority import against_majority


def test_a_model_that_never_says_the_rare_class_is_found_out() -> None:
    gold = np.array([1] * 4 + [0] * 196)
    found = against_majority(np.zeros(200, int), gold)
    assert (found.label, found.share, found.accuracy) == (0, 0.98, 0.98)
    assert (found.constant, found.better, found.proven) == (True, False, False)


def test_one_more_right_answer_is_better_but_no_proof() -> None:
    gold = np.array([1] * 4 + [0] * 196)
    answers = gold.copy()
    answers[:3] = 0
    found = against_majority(answers, gold)
    assert (found.constant, found.better, found.proven) == (False, True, False)
    assert found.accuracy == pytest.approx(0.985)


@pytest.mark.parametrize(
    ("won", "lost"), [(1, 0), (3, 0), (4, 0), (7, 2), (8, 2), (12, 5), (13, 5), (40, 30)]
)
def test_proof_is_that_of_the_exact_sign_test(won: int, lost: int) -> None:
    """P(gamma(lost + 1) > gamma(won)) is the tail of the binomial distribution."""
    gold = np.array([1] * 60 + [0] * 240)
    answers = gold.copy()
    answers[won:60] = 0
    answers[60 : 60 + lost] = 1
    sign = binomtest(won, won + lost, 0.5, alternative="greater").pvalue
    assert abs(sign - 0.1) > 0.01  # not a case that the draws decide
    assert against_majority(answers, gold).proven == (sign <= 0.1)


def test_a_model_below_the_majority_is_not_better() -> None:
    found = against_majority([0, 1, 2, 2], [0, 0, 2, 0])
    assert (found.label, found.share, found.accuracy, found.better) == (0, 0.75, 0.5, False)


def test_the_first_of_equally_common_classes_counts() -> None:
    assert against_majority([1, 1], [1, 2]).label == 1


@pytest.mark.parametrize(("answers", "gold"), [([0], [0, 1]), ([], [])])
def test_answers_to_other_examples_are_refused(answers: list[int], gold: list[int]) -> None:
    with pytest.raises(ValueError, match=f"majority: {len(answers)} answers to {len(gold)}"):
        against_majority(answers, gold)
