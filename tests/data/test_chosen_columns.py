"""The usual names of columns; labels in lists, in cells and in columns of 0 and 1."""

from typing import Any

import numpy as np
import pytest

from leanformer.data import Dataset
from leanformer.data.chosen_columns import Columns, choose_columns, found_column
from leanformer.data.reading.columns import to_dataset
from leanformer.data.relabel import relabeled
from leanformer.data.rows import Row
from leanformer.data.task import joined


def of(kind: str | None, *rows: dict[str, Any], **columns: Any) -> Dataset:
    splits = {split: [dict(row) for row in rows] for split in ("train", "dev", "test")}
    return to_dataset("x", splits, Columns(kind=kind, **columns))


@pytest.mark.parametrize(
    ("present", "found"),
    [
        ("Text Label", ("Text", None, "Label")),
        ("idx Sentence LABEL", ("Sentence", None, "LABEL")),
        ("premise hypothesis label", ("premise", "hypothesis", "label")),
        ("question1 question2 is_duplicate label", ("question1", "question2", "label")),
        ("sentence1 sentence2 score", ("sentence1", "sentence2", "score")),
        ("text1 text2 label", ("text1", "text2", "label")),
        ("pair_ID sentence_A sentence_B relatedness_score", ("sentence_A", "sentence_B", "relatedness_score")),
        ("query passage label", ("query", "passage", "label")),
        ("question passage answer label", ("question", "passage", "label")),
        ("review stars", ("review", None, "stars")),
        ("tweet sentiment", ("tweet", None, "sentiment")),
        ("title emotion", ("title", None, "emotion")),
        ("Text Coarse-Label", ("Text", None, "Coarse-Label")),
    ],
)  # fmt: skip
def test_usual_names_are_found_in_any_case(
    present: str, found: tuple[str, str | None, str | None]
) -> None:
    chosen = choose_columns(Row(dict.fromkeys(present.split(), "x")), Columns())
    assert (chosen.text, chosen.pair, chosen.label) == found


def test_names_that_differ_by_case_only_are_asked_about() -> None:
    with pytest.raises(
        ValueError, match=r"columns 'Text' and 'text' are named alike .*: --text Text"
    ):
        choose_columns(Row({"Text": "a", "text": "b"}), Columns())
    assert choose_columns(Row({"Text": "a", "text": "b"}), Columns(text="text")).text == "text"
    assert found_column(("query_id", "qid"), ["QID", "Query-Id"], "--query-id") == "Query-Id"


def test_lists_are_told_from_the_column() -> None:
    found = of(None, {"text": "a", "labels": ["ü", "b"]}, {"text": "b", "labels": []})
    assert (found.task.kind, found.task.labels) == ("multi-label", ("b", "ü"))
    assert found.train.labels == [[1, 1], [0, 0]]


def test_cells_and_columns_of_0_and_1() -> None:
    cells = of("multi-label", {"text": "a", "label": "x|y"}, {"text": "b", "label": ""})
    assert cells.dev.labels == [[1, 1], [0, 0]]
    rows = [{"text": "a", "y": "1", "x": "0"}, {"text": "b", "y": "0", "x": "0"}]
    for asked in (None, "y,x"):
        columns = of("multi-label", *rows, label=asked)
        assert (columns.task.labels, columns.test.labels) == (("y", "x"), [[1, 0], [0, 0]])


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (
            [{"text": "a", "labels": ["x", "y"]}, {"text": "b", "labels": None}],
            {},
            "train row 2: labels is missing; give the row a list of labels",
        ),
        (
            [{"text": "a", "x": "1", "y": "0"}],
            {"label": "x,z"},
            "--label x,z: there is no such column.*; there are: text, x, y",
        ),
        (
            [{"text": "a", "x": "1", "id": "17"}],
            {},
            "train row 1: id is '17', and a column of a label holds 0 or 1; name the columns",
        ),
        ([{"text": "a"}], {}, "no column of labels is recognised among text; name it: --label"),
    ],
)
def test_refusals(rows: list[Any], columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of("multi-label", *rows, **columns)


def test_a_label_that_training_has_not_is_refused_in_dev() -> None:
    rows = [{"text": "a", "labels": ["x", "y"]}]
    dev = [{"text": "a", "labels": ["z"]}]
    with pytest.raises(ValueError, match="dev row 1: label 'z' is not among the training label"):
        to_dataset("x", {"train": rows, "dev": dev, "test": rows}, Columns(kind="multi-label"))


def test_texts_without_labels_join_with_marks() -> None:
    rows = [{"text": "a", "labels": ["x", "y"]}, {"text": "b", "labels": []}]
    splits = dict.fromkeys(("train", "dev", "test"), rows)
    found = to_dataset("x", splits | {"unlabelled": [{"text": "c"}]}, Columns())
    labels: Any = joined(found.train, found.unlabelled, "multi-label").labels
    assert np.isnan(labels[2]).tolist() == [True, True]
    turned = relabeled(found, ("y", "w", "x"))
    assert turned.train.labels == [[1, 0, 1], [0, 0, 0]]
