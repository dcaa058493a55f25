from typing import Any

import pytest

from leanformer.data import Dataset, Examples, Task
from leanformer.search.judged import check_gold, gold_of


def dataset(task: Task, labels: list[Any]) -> Dataset:
    words = [["a"] * len(row) for row in labels] if task.kind == "tokens" else None
    texts = Examples(texts=["a"] * len(labels), words=words, labels=labels)
    return Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)


NAMES = ("rice", "music")


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        (Task(kind="classification", labels=NAMES, metric="mcc"), [1, 1, 1]),
        (Task(kind="classification", labels=NAMES, metric="f1:rice"), [1, 1, 1]),
        (Task(kind="regression"), [0.5, 0.5, 0.5]),
        (Task(kind="regression", metric="pearson"), [0.5]),
    ],
)
def test_a_dev_split_that_nobody_can_be_good_at_is_refused(task: Task, labels: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"dev: even the right answers to its \d examples have a"):
        check_gold(dataset(task, labels))


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        (Task(kind="classification", labels=NAMES), [1]),
        (Task(kind="classification", labels=NAMES, metric="macro-f1"), [1, 1]),
        (Task(kind="classification", labels=NAMES, metric="mcc"), [0, 1]),
        (Task(kind="regression"), [0.5, 0.6]),
        (Task(kind="tokens", labels=("O", "B-RICE")), [[0, 1]]),
        (Task(kind="tokens", labels=("O", "B-RICE")), [[0, 0]]),  # to tag nothing is right
    ],
)
def test_one_that_somebody_can_be_good_at_is_taken(task: Task, labels: list[Any]) -> None:
    check_gold(dataset(task, labels))


def test_gold_is_in_the_form_of_the_metric() -> None:
    task = Task(kind="tokens", labels=("O", "B-RICE"))
    assert gold_of(dataset(task, [[0, 1], []]).dev, task) == [["O", "B-RICE"], []]
    task = Task(kind="classification", labels=NAMES)
    assert gold_of(dataset(task, [1, 0]).dev, task).tolist() == [1, 0]


def test_an_embedding_has_no_gold() -> None:
    texts = Examples(texts=["a"])
    check_gold(Dataset(name="toy", task=Task(kind="embedding"), train=texts, dev=texts, test=texts))
