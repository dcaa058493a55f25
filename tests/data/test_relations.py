from dataclasses import replace

from leanformer.data.relations import Relations

PAIRS = Relations(
    anchors=("a", "b"), positives=("c", "d"), negatives=(("e", "f"), ()), labels=("1", "2")
)


def test_the_candidates_of_a_row_are_its_positive_and_its_negatives() -> None:
    assert len(PAIRS) == 2
    assert PAIRS.candidates(0) == ("c", "e", "f")
    assert PAIRS.candidates(1) == ("d",)


def test_other_rows_are_told_apart() -> None:
    assert PAIRS.identity() == replace(PAIRS).identity()
    others = (
        replace(PAIRS, anchors=("b", "a")),
        replace(PAIRS, negatives=(("e",), ("f",))),
        replace(PAIRS, labels=None),
        replace(PAIRS, scores=((1.0, 2.0, 3.0), (1.0,))),
    )
    assert len({PAIRS.identity(), *(other.identity() for other in others)}) == 5
