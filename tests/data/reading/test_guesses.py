"""What is told from rows, and what is asked about by a refusal that names the option."""

import json
from pathlib import Path
from typing import Any

import pytest

from leanformer.data import Source
from leanformer.data.chosen_columns import Columns
from leanformer.data.reading.columns import to_dataset
from leanformer.data.reading.guesses import why_told
from leanformer.data.task import Dataset

SENTENCES = [f"the fox number {n} jumps over it" for n in range(24)]


def rows(count: int = 24, **columns: Any) -> list[dict[str, Any]]:
    """Rows of `columns`, each a list of values that is gone through again and again."""
    return [{name: own[n % len(own)] for name, own in columns.items()} for n in range(count)]


def read(train: list[dict[str, Any]], **asked: Any) -> Dataset:
    return to_dataset("toy", {"train": train, "dev": train, "test": train}, Columns(**asked))


NAMES = ["yes", "no"]
OTHERS = [f"a second text of {n} words" for n in range(24)]
ASKED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "two texts": (
        rows(question=SENTENCES, context=OTHERS, label=NAMES),
        r"columns 'question' and 'context' all hold texts; say which are read: --text question, or "
        r"with a second text --text question --pair context",
    ),
    "three texts": (
        rows(sentence1=SENTENCES, sentence2=OTHERS, why=SENTENCES[::-1], label=NAMES),
        r"'sentence1', 'sentence2' and 'why' all hold texts; .* --pair sentence2",
    ),
    "no usual name": (
        rows(heading=SENTENCES, story=OTHERS, label=NAMES),
        r"no column of text is recognised among heading, story, label; name it: --text, and --pair",
    ),
    "two labels": (
        rows(text=SENTENCES, intent=NAMES, category=["a", "b", "c"]),
        r"columns 'intent' and 'category' may both be labels; say which: --label intent or --label c",
    ),
    "two plain labels": (
        rows(text=SENTENCES, label=NAMES, labels=["a", "b", "c"]),
        r"columns 'label' and 'labels' may both be labels; say which: --label label or",
    ),
    "an unusual label": (
        rows(text=SENTENCES, mood=NAMES),
        r"no column of labels is recognised, and 'mood' may be one; say so: --label mood, "
        r"or --task embedding for texts without labels",
    ),
    "an unusual list": (rows(text=SENTENCES, topics=[["a"], []]), r"'topics' may be one.* --label topics"),
    "an unusual float": (
        rows(text=SENTENCES, valence=[n / 7 for n in range(1, 25)]),
        r"'valence' may be one; say so: --label valence",
    ),
    "flags": (
        rows(text=SENTENCES, anger=[0, 1], joy=[1, 0, 0]),
        r"'anger' and 'joy' may be one; say so: --task multi-label --label anger,joy, or --label ang",
    ),
    "ratings": (
        rows(text=SENTENCES, label_rating=["1", "2", "3"]),
        r"'label_rating' may be one",
    ),
    "scores": (
        rows(text=SENTENCES, score=["1", "2", "3", "4", "5"]),
        r"column 'score' holds whole numbers \(1, 2, 3, …\), which may be classes or numbers; say "
        r"which: --task classification or --task regression",
    ),
    "many whole numbers": (
        rows(102, text=SENTENCES, label=list(range(51))),
        r"column 'label' holds 51 different whole numbers \(0, 1, 2, …\), which may be classes or",
    ),
    "numbers with a point": (
        rows(text=SENTENCES, label=[0.0, 1.0]),
        r"holds whole numbers written as 0\.0, 1\.0, which may be",
    ),
    "ids": (
        rows(text=SENTENCES, label=[f"l{n}" for n in range(24)]),
        r"column 'label' has 24 different labels; is it the right column\? Each row has one of its",
    ),
    "nearly all numbers": (
        rows(text=SENTENCES, label=[0.5, 1.5, 2.5, 3.5, 4.5, 0.25, 1.25, 2.25, 3.25, 4.25, 5.5, "n/a"]),
        r"column 'label' holds numbers, and 'n/a' among them; give these rows a number, or say .*"
        r"--task classification",
    ),
    "flags in lists": (
        rows(text=SENTENCES, labels=[[0, 1, 0], [1, 0, 0]]),
        r"column 'labels' holds lists of numbers such as \[0, 1, 0\], which may be flags or scores",
    ),
    "scores in lists": (
        rows(text=SENTENCES, labels=[[0.1, 0.9], [0.5]]),
        r"lists of numbers such as \[0\.1, 0\.9\]",
    ),
    "queries": (
        rows(query=SENTENCES[:3], passage=OTHERS, label=["0", "1"]),
        r"columns 'query' and 'passage' may be texts to put in order by query, or pairs to classify; "
        r"say which: --task ranking or --task classification",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_what_is_not_certain_is_asked_about(name: str) -> None:
    train, message = ASKED[name]
    with pytest.raises(ValueError, match=message):
        read(train)


@pytest.mark.parametrize(
    ("name", "asked", "kind"),
    [
        ("two texts", {"text": "question"}, "classification"),
        ("two texts", {"text": "question", "pair": "context"}, "classification"),
        ("two labels", {"label": "category"}, "classification"),
        ("an unusual label", {"label": "mood"}, "classification"),
        ("an unusual label", {"kind": "embedding"}, "embedding"),
        ("flags", {"kind": "multi-label", "label": "anger,joy"}, "multi-label"),
        ("scores", {"kind": "regression"}, "regression"),
        ("scores", {"kind": "classification"}, "classification"),
        ("many whole numbers", {"kind": "classification"}, "classification"),
        ("ids", {"kind": "classification"}, "classification"),
        ("nearly all numbers", {"kind": "classification"}, "classification"),
        ("queries", {"kind": "ranking"}, "ranking"),
        ("queries", {"kind": "classification"}, "classification"),
    ],
)
def test_the_named_option_is_the_way_out(name: str, asked: dict[str, Any], kind: str) -> None:
    assert read(ASKED[name][0], **asked).task.kind == kind


@pytest.mark.parametrize(
    ("train", "kind"),
    [
        (rows(text=SENTENCES, id=list(range(24)), url=["http://a.b/c"]), "embedding"),
        (rows(text=SENTENCES, label=NAMES, title=["Mrs Fox"], date=["2026-01-01 12:00"]), "classification"),
        (rows(text=SENTENCES, label=NAMES, label_text=["that is so", "that is not so"]), "classification"),
        (rows(text=SENTENCES, label=[0, 1], category=NAMES), "classification"),
        (rows(text=SENTENCES, label=NAMES, stars=[1, 5, 9]), "classification"),
        (rows(text=SENTENCES, label=[True, False]), "classification"),
        (rows(text=SENTENCES, label=["-1", "0", "1"]), "classification"),
        (rows(text=SENTENCES, score=[0.5, 1, 2.25]), "regression"),
        (rows(text=SENTENCES, labels=[[3], [17, 4], []]), "multi-label"),
        (rows(question=SENTENCES, passage=OTHERS, label=[0, 1]), "classification"),
    ],
)  # fmt: skip
def test_what_is_certain_is_told(train: list[dict[str, Any]], kind: str) -> None:
    assert read(train).task.kind == kind


def test_flags_in_a_list_are_refused_where_the_task_is_asked_for_too() -> None:
    with pytest.raises(ValueError, match=r"train row 1: labels has a number twice: \[0, 1, 0\]"):
        read(ASKED["flags in lists"][0], kind="multi-label")


@pytest.mark.parametrize(
    ("kind", "labels", "why"),
    [
        ("classification", ("a", "1"), "labels are names"),
        ("classification", ("0", "1"), "labels are few whole numbers"),
        ("regression", (), "labels are numbers with fractions"),
        ("multi-label", ("a", "b"), "labels are lists"),
        ("embedding", (), "there is no column of labels"),
        ("tokens", ("O", "B"), "there are words with tags"),
    ],
)
def test_why(kind: str, labels: tuple[str, ...], why: str) -> None:
    assert why_told(kind, labels) == why


@pytest.mark.parametrize("missing", ["null", "NaN", '""', '" "', None])
@pytest.mark.parametrize("labels", [['"x"', '"y"'], ["0.5", "1.5"], ['["x"]', '["y", "x"]']])
def test_a_label_is_missing_in_every_way_of_jsonl(
    missing: str | None, labels: list[str], tmp_path: Path
) -> None:
    lines = [f'{{"text": "text {n}", "label": {labels[n % 2]}}}' for n in range(40)]
    for place in (0, 13, 14, 39):
        own = "" if missing is None else f', "label": {missing}'
        lines[place] = f'{{"text": "text {place}"{own}}}'
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(
        ValueError, match=r"label is missing in 4 of 40 rows \(.*data\.jsonl:1, 14, 15, …\)"
    ):
        Source(path=str(path)).read()


@pytest.mark.parametrize("split", ["dev", "test"])
def test_rows_without_a_label_are_counted_in_every_split(split: str, tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        labels = ["", "", "x"] if name == split else ["x", "y", "x"]
        lines = [f"{name} {n},{label}" for n, label in enumerate(labels)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *lines]))
    message = rf"{split}: label is missing in 2 of 3 rows \(.*{split}\.csv:2, 3\); give"
    with pytest.raises(ValueError, match=message):
        Source(path=str(tmp_path)).read()


def test_na_may_be_the_name_of_a_label(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"text {n},{['NA', 'x'][n % 2]}\n" for n in range(40)))
    assert Source(path=str(path)).read().task.labels == ("NA", "x")


def test_labels_of_few_rows_are_told_from_all(tmp_path: Path) -> None:
    """A limit leaves too few rows to see that labels repeat; all rows are looked at."""
    path = tmp_path / "data.jsonl"
    rows_ = [{"text": f"text {n}", "label": f"l{n % 40}"} for n in range(400)]
    path.write_text("\n".join(map(json.dumps, rows_)))
    found = Source(path=str(path), limit=300).read()
    assert len(found.train) == 300
    assert found.task.kind == "classification"
