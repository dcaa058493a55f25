import pytest

from leanformer.runtime.spans import spans_of

TEXT = "Ada met Bo in Rome"
OFFSETS = [(0, 3), (4, 7), (8, 10), (11, 13), (14, 18)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["B-PER", "O", "B-PER", "O", "B-LOC"], ["PER Ada", "PER Bo", "LOC Rome"]),
        (["B-PER", "I-PER", "O", "O", "O"], ["PER Ada met"]),
        (["B-PER", "B-PER", "O", "O", "O"], ["PER Ada", "PER met"]),
        (["O", "I-PER", "I-LOC", "O", "I-LOC"], ["PER met", "LOC Bo", "LOC Rome"]),
        (["O"] * 5, []),
    ],
)
def test_bio(labels, expected):
    spans = spans_of(TEXT, labels, [0.9] * 5, OFFSETS)
    assert [f"{span.label} {span.text}" for span in spans] == expected


def test_the_score_is_the_least_sure_word():
    spans = spans_of(TEXT, ["B-PER", "I-PER", "O", "O", "O"], [0.9, 0.6, 1, 1, 1], OFFSETS)
    assert spans[0].score == 0.6
