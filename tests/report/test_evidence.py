import pytest
from report import rivals_sample, sample

from leanformer.report import evidence


def test_proofs_show_before_after_change_and_outcome():
    rows = [[cell.text for cell in row.cells] for row in evidence.proofs(sample.steps()[:4]).rows]
    assert rows[0] == [
        "cut vocabulary",
        "token embeddings",
        "30,522 tokens",
        "8,123 tokens",
        "−73 %",
        "8,123 tokens",
        "proved",
    ]
    assert rows[1][0] == ""
    assert rows[5][4] == "+1,584 %"


def test_a_proof_that_failed_and_a_step_without_proofs():
    table = evidence.proofs([sample.steps()[-1], {"step": "save", "proofs": []}])
    assert (table.rows[0].cells[6].text, table.rows[0].cells[6].mark) == ("no effect", "bad")
    assert (table.rows[1].cells[1].text, table.rows[1].cells[6].text) == (
        "nothing to prove",
        "not claimed",
    )


def test_slices_have_counts_and_gaps_in_points():
    rows = evidence.slices(sample.slices()[1]).rows
    assert [cell.text for cell in rows[0].cells] == ["1–5 tokens", "41", "87.8 %", "85.4 %", "−2.4"]
    assert (rows[0].cells[4].mark, rows[3].cells[4].mark) == ("bad", "good")


def test_a_slice_that_was_not_scored():
    event = {
        "by": "length",
        "metric": "spearman",
        "rows": [
            {"name": "a", "count": 1, "teacher": 0.8, "student": None},
            {"name": "b", "count": 9, "teacher": 0.8, "student": 0.75},
        ],
    }
    rows = evidence.slices(event).rows
    assert [cell.text for cell in rows[0].cells][2:] == ["0.800", "–", "–"]
    assert rows[1].cells[4].text == "−0.050"


@pytest.mark.parametrize(
    ("label", "teacher", "student", "who"),
    [
        ("a", "a", "b", "teacher"), ("a", "b", "a", "student"), ("a", "b", "c", "neither"),
        (3.0, 2.5, 3.1, "student"), (3.0, 2.9, 4.0, "teacher"), (3.0, 2.0, 4.0, "neither"), (None, "a", "b", "unknown"),
        ([0, 1], [0, 1], [1, 1], "teacher"),
    ],
)  # fmt: skip
def test_who_is_right(label, teacher, student, who):
    assert evidence.right(label, teacher, student) == who


def test_disagreements_are_words():
    row = {
        "text": "Ann left",
        "pair": None,
        "label": ["B-PER", "O"],
        "teacher": ["B-PER", "O"],
        "student": ["O", "O"],
    }
    (told,) = evidence.disagreements([row])
    assert (told["label"], told["student"], told["student_confidence"], told["right"]) == (
        "B-PER O",
        "O O",
        "",
        "teacher",
    )


def test_thresholds_are_in_the_order_of_their_rates_and_say_what_is_proven():
    event = rivals_sample.gate("a → b", "b", 0.995, 0.07)
    event["rows"][0] |= {"kept": None, "lower": None}
    table = evidence.thresholds(event)
    texts = [[cell.text for cell in row.cells] for row in table.rows]
    assert texts[0] == ["0.0 %", "0.200", "97.80 %", "97.20 %", "not proven"]
    assert texts[-1] == ["100.0 %", "–", "–", "–", "proven"]
    assert [row.cells[0].text for row in table.rows if row.kind == "chosen"] == ["7.0 %"]
    assert "a text goes on to b where the margin of n-grams is below" in table.caption
