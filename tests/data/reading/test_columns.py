from typing import Any

import pytest

from leanformer.data.chosen_columns import Columns
from leanformer.data.reading.columns import to_dataset
from leanformer.data.task import Dataset

GOOD = [{"text": "a b", "label": "yes"}, {"text": "c", "label": "no"}, {"text": "d", "label": "no"}]
NER = [
    {"words": ["Anna", "sleeps"], "tags": ["B-PER", "O"]},
    {"words": ["Rome"], "tags": ["B-LOC"]},
]


def read(train: Any, dev: Any = None, test: Any = None, spare: Any = None, **asked: Any) -> Dataset:
    rows = {"train": train, "dev": dev or train, "test": test or train}
    return to_dataset("toy", rows | ({"unlabelled": spare} if spare else {}), Columns(**asked))


def changed(**fields: Any) -> list[dict[str, Any]]:
    return [GOOD[0], {**GOOD[1], **fields}]


@pytest.mark.parametrize(
    ("rows", "metric"), [(GOOD, "macro-f1"), (GOOD, "mcc"), (NER, "span_f1"), (GOOD, "f1:no")]
)
def test_the_asked_metric_is_the_tasks(rows: Any, metric: str) -> None:
    assert read(rows, metric=metric).task.metric == metric


def test_tags_have_no_accuracy() -> None:
    with pytest.raises(ValueError, match="'accuracy' is not a metric of tokens"):
        read(NER, metric="accuracy")


def test_classification_is_told_from_names() -> None:
    found = read(GOOD)
    assert (found.task.kind, found.task.labels, found.task.metric) == (
        "classification", ("no", "yes"), "accuracy",
    )  # fmt: skip
    assert (found.train.texts, found.train.labels, found.train.pairs) == (
        ["a b", "c", "d"], [1, 0, 0], None,
    )  # fmt: skip
    assert found.unlabelled is None


@pytest.mark.parametrize(
    ("scores", "kind", "labels"),
    [
        (["0.5", "1", "-2.25"], "regression", [0.5, 1.0, -2.25]),
        ([0.5, 1, 3.0], "regression", [0.5, 1.0, 3.0]),
        (["0", "1", "-1"], "classification", [1, 2, 0]),
        ([True, False, True], "classification", [1, 0, 1]),
        (["1.0 stars", "2.0", "3.0"], "classification", [0, 1, 2]),
    ],
)
def test_numbers_with_fractions_are_a_regression(
    scores: list[Any], kind: str, labels: list[float]
) -> None:
    rows = [{"sentence1": "a", "sentence2": "b", "label": score} for score in scores]
    found = read(rows)
    assert (found.task.kind, found.train.labels, found.train.pairs) == (kind, labels, ["b"] * 3)
    assert found.task.outputs == max(1, len(found.task.labels))


def test_whole_numbers_can_be_asked_for_as_a_regression() -> None:
    found = read([{"text": "a", "label": "3"}, {"text": "b", "label": "5"}], kind="regression")
    assert found.train.labels == [3.0, 5.0]


def test_columns_can_be_named() -> None:
    rows = [
        {"id": "1", "left": "a", "right": "b", "gold": "x"},
        {"id": "2", "left": "c", "right": "d", "gold": "y"},
    ]
    found = read(rows, text="left", pair="right", label="gold")
    assert (found.train.texts, found.train.pairs) == (["a", "c"], ["b", "d"])
    assert read(rows, text="left", label="gold").train.pairs is None


def test_texts_alone_are_an_embedding_task() -> None:
    found = read([{"text": "a"}, {"text": "b"}])
    assert (found.task.kind, found.task.labels, found.train.labels) == ("embedding", (), None)
    assert read(GOOD, kind="embedding").train.labels is None


def test_an_embedding_is_of_one_text_and_both_columns_are_read() -> None:
    rows = [{"sentence1": "a", "sentence2": "b"}, {"sentence1": "c", "sentence2": "d"}]
    found = read(rows, kind="embedding", spare=[{"sentence1": "e"}])
    assert (found.train.texts, found.train.pairs) == (["a", "c", "b", "d"], None)
    assert found.unlabelled is not None
    assert (found.unlabelled.texts, found.unlabelled.pairs) == (["e"], None)


def test_words_with_tags_are_a_tokens_task() -> None:
    found = read(NER, spare=[{"text": "to Rome"}, {"words": ["by", "car"], "tags": ["O", "O"]}])
    assert (found.task.kind, found.task.labels) == ("tokens", ("B-LOC", "B-PER", "O"))
    assert (found.train.texts, found.train.labels) == (["Anna sleeps", "Rome"], [[1, 2], [0]])
    assert found.unlabelled is not None
    assert found.unlabelled.words == [["to", "Rome"], ["by", "car"]]
    assert found.unlabelled.labels is None


def test_unlabelled_texts_are_found_by_their_own_columns() -> None:
    found = read(GOOD, spare=[{"utterance": "e", "label": "unheard of"}])
    assert found.unlabelled is not None
    assert (found.unlabelled.texts, found.unlabelled.labels) == (["e"], None)


PAIRED = [{**row, "pair": "p"} for row in GOOD]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"train": GOOD, "text": "txet"}, r"--text txet: .*\(did you mean 'text'\?\); there are: text, label"),
    ({"train": GOOD, "pair": "second"}, r"--pair second: there is no such column"),
    ({"train": GOOD, "label": "lable"}, r"--label lable: .*did you mean 'label'"),
    ({"train": [{"a": "x"}]}, r"no column of text is recognised among a; name it: --text"),
    ({"train": [{"text": "x"}], "kind": "regression"}, r"no column of labels is recognised among text; name it"),
    ({"train": GOOD, "kind": "tokens"}, r"kind = tokens needs a \.conll file"),
    ({"train": GOOD[1:]}, r"train: column 'label' has one class only \('no'\)"),
    ({"train": [{"text": "a", "label": f"l{n}"} for n in range(1001)]}, r"1001 different labels; is it the right column"),
    ({"train": GOOD, "dev": changed(label="yse")}, r"dev row 2: label 'yse' is not among .*did you mean 'yes'"),
    ({"train": GOOD, "test": changed(text=" ")}, r"test row 2: text is empty; remove the row"),
    ({"train": GOOD, "dev": [{"text": "a"}]}, r"dev: no column 'label'; there are: text"),
    ({"train": GOOD, "dev": changed(label=None)}, r"dev row 2: label is missing; give the row one"),
    ({"train": changed(label="")}, r"train row 2: label is missing"),
    ({"train": [*GOOD, {"text": "a"}]}, r"train row 4: label is missing"),
    ({"train": [*GOOD, {"label": "no"}]}, r"train row 4: no column 'text'; there are: label"),
    ({"train": changed(text=3)}, r"train row 2: text is 3, not a text"),
    ({"train": [{"text": "a", "score": "0.5"}, {"text": "b", "score": "nan"}]}, r"train row 2: score 'nan' is not a finite"),
    ({"train": [{"text": "a", "score": 0.5}, {"text": "b", "score": float("inf")}]}, r"train row 2: score 'inf' is not a finite"),
    ({"train": [{"text": "a", "score": "0.5"}], "dev": [{"text": "b", "score": "high"}]}, r"dev row 1: score 'high' is not a finite"),
    ({"train": PAIRED, "spare": [{"text": "e"}]}, r"unlabelled: no column 'pair'; the task has pairs"),
    ({"train": GOOD, "spare": [{"text": "e"}, {"text": ""}]}, r"unlabelled row 2: text is empty"),
    ({"train": NER, "kind": "classification"}, r"--task classification: the file has words with tags"),
    ({"train": [{"words": ["a"], "tags": ["O"]}]}, r"train: one tag only \('O'\)"),
    ({"train": NER, "dev": [{"words": ["a", "b"], "tags": ["O"]}]}, r"dev row 1: 2 words and 1 tags"),
    ({"train": NER, "dev": [{"words": [" "], "tags": ["O"]}]}, r"dev row 1: an empty word"),
    ({"train": NER, "test": [{"words": ["a"], "tags": ["B-LOK"]}]}, r"test row 1: tag 'B-LOK' .*did you mean 'B-LOC'"),
    ({"train": NER, "dev": GOOD}, r"dev row 1: the task has words with tags, and this row has text, label"),
    ({"train": NER, "spare": [{"text": " "}]}, r"unlabelled row 1: text is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_would_spoil_the_work_is_refused_with_its_place(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(**given)
