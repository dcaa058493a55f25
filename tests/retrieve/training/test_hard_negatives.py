from collections.abc import Sequence

import pytest

from leanformer.data.relations import Relations
from leanformer.retrieve.training.hard_negatives import mine_hard_negatives

TEXTS = ("q1", "right", "nearly right", "near", "far", "near", "other right")
RELATIONS = Relations(
    anchors=("q1", "q2", "q1"),
    positives=("right", "far", "other right"),
    negatives=((), ("given",), ()),
)
SCORES = {"right": 9.0, "other right": 8.0, "nearly right": 8.5, "near": 5.0, "far": 1.0}


def search(queries: Sequence[str], k: int) -> list[list[int]]:
    return [([0, 1, 2, 3, 6, 5, 4] + [-1] * k)[:k] for _ in queries]


def score(pairs: Sequence[tuple[str, str]]) -> list[float]:
    return [SCORES.get(text, 0.0) for _, text in pairs]


def test_known_texts_the_query_itself_and_repeats_are_left_out() -> None:
    mined = mine_hard_negatives(RELATIONS, TEXTS, search, negatives=2)
    assert mined.negatives == (
        ("nearly right", "near"),
        ("given", "q1"),
        ("nearly right", "near"),
    )
    assert mined.scores is None
    assert mine_hard_negatives(RELATIONS, TEXTS, search, negatives=2, skip=1).negatives[0] == (
        "near",
        "far",
    )
    assert mine_hard_negatives(RELATIONS, TEXTS, search, k=3).negatives[0] == ("nearly right",)


def test_what_scores_nearly_as_high_as_the_positive_is_left_out() -> None:
    mined = mine_hard_negatives(RELATIONS, TEXTS, search, score=score, margin=1.0, negatives=2)
    assert mined.negatives[0] == ("near", "far")
    assert mined.scores is not None
    assert mined.scores[0] == (9.0, 5.0, 1.0)
    assert mined.scores[1][:2] == (1.0, 0.0)  # the given negative is scored too
    half = mine_hard_negatives(RELATIONS, TEXTS, search, score=score, margin=0.5, relative=True)
    assert half.negatives[0] == ("far",)
    none = mine_hard_negatives(RELATIONS, TEXTS, search, score=score, margin=50.0)
    assert none.negatives == ((), ("given",), ())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="negatives = 0"):
        mine_hard_negatives(RELATIONS, TEXTS, search, negatives=0)
    with pytest.raises(ValueError, match="relative: 'right' scores -1 for 'q1', and a share"):
        mine_hard_negatives(
            RELATIONS,
            TEXTS,
            search,
            score=lambda pairs: [SCORES.get(text, 0.0) - 10 for _, text in pairs],
            margin=0.1,
            relative=True,
        )
    with pytest.raises(ValueError, match="margin: nothing scores"):
        mine_hard_negatives(RELATIONS, TEXTS, search, margin=0.1)
    with pytest.raises(ValueError, match="row 6 is not one of the 3 texts"):
        mine_hard_negatives(RELATIONS, TEXTS[:3], lambda queries, k: [[6]] * 2)
