"""A data set with its labels in another order, e.g. that of the outputs of a trained head.

Examples hold indices of labels, so each index is replaced by the new index of the same label.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from leanformer.data.task import Dataset, Examples


def relabeled(dataset: Dataset, labels: Sequence[str]) -> Dataset:
    """The same data set with its labels in the order of `labels`.

    Args:
        dataset: Of a task with named labels.
        labels: Each of the data set's labels once, in any order, and further ones that no example
            has.

    Raises:
        ValueError: A label of the data set is not among them, or one occurs twice.
    """
    old = dataset.task.labels
    missing = [label for label in old if label not in labels]
    if missing or len(set(labels)) < len(labels):
        raise ValueError(
            f"labels: {', '.join(labels)} must hold each of {', '.join(old)} once, in any order"
        )
    if tuple(labels) == old:
        return dataset
    new, form = [list(labels).index(label) for label in old], dataset.task.about.form
    assert form is not None, "only labelled splits are renumbered"

    def renumbered(examples: Examples) -> Examples:
        own: Any = examples.labels
        return replace(examples, labels=[form.renumbered(one, new, len(labels)) for one in own])

    return replace(
        dataset,
        task=replace(dataset.task, labels=tuple(labels)),
        train=renumbered(dataset.train),
        dev=renumbered(dataset.dev),
        test=renumbered(dataset.test),
    )
