from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.data.relabel import relabeled
from leanformer.data.task import Dataset, Examples, Task

NAMES = ("a", "b", "c")
TEXTS = Examples(texts=["one", "two", "three", "four"], labels=[0, 1, 2, 0])
CLASSES = Dataset(
    name="d",
    task=Task(kind="classification", labels=NAMES, metric="f1:b"),
    train=TEXTS,
    dev=TEXTS.take([1, 2]),
    test=TEXTS.take([3]),
    unlabelled=TEXTS.without_labels(),
)


def named(dataset: Dataset, examples: Examples) -> list[object]:
    labels = dataset.task.labels
    if examples.words is not None:
        return [[labels[label] for label in row] for row in examples.labels]  # type: ignore[union-attr, misc]
    return [labels[label] for label in examples.labels]  # type: ignore[union-attr, misc]


@given(order=st.permutations([*NAMES, "of no example"]))
def test_each_example_keeps_its_name(order: list[str]) -> None:
    other = relabeled(CLASSES, order)
    assert other.task == replace(CLASSES.task, labels=tuple(order))
    assert (other.name, other.unlabelled) == (CLASSES.name, CLASSES.unlabelled)
    for split in ("train", "dev", "test"):
        before, after = getattr(CLASSES, split), getattr(other, split)
        assert named(other, after) == named(CLASSES, before)
        assert after.texts == before.texts
    back = relabeled(other, ["of no example", *NAMES])
    assert named(back, back.train) == named(CLASSES, CLASSES.train)


def test_tags_of_words() -> None:
    words = Examples(texts=["x y", "z"], words=[["x", "y"], ["z"]], labels=[[0, 1], [2]])
    tags = Task(kind="tokens", labels=("B-A", "I-A", "O"))
    data = Dataset(name="d", task=tags, train=words, dev=words, test=words)
    other = relabeled(data, ["O", "B-A", "I-A"])
    assert other.train.labels == [[1, 2], [0]]
    assert named(other, other.dev) == named(data, data.dev)


def test_the_same_order_changes_nothing() -> None:
    assert relabeled(CLASSES, NAMES) is CLASSES


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "b", "c", "c"), ()])
def test_labels_that_are_missing_or_there_twice(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="must hold each of a, b, c once, in any order"):
        relabeled(CLASSES, labels)
