"""What a model is asked to do, and the examples that say so.

Five kinds of task, one shape of data. A pair of texts is a property of the examples, not a kind:

    classification   one label per text (or pair)       quality: accuracy, or chosen
    regression       one number per text (or pair)      quality: rank correlation, or chosen
    tokens           one label per word (NER)           quality: F1 of whole spans
    embedding        no labels: keep the geometry       quality: mean cosine to the teacher
    masked-lm        no labels: fill in hidden words    quality: accuracy at the hidden tokens
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from leanformer.data.metric import METRICS, check_metric, metric_named
from leanformer.numerics.metrics import Metric

Kind = Literal["classification", "regression", "tokens", "embedding", "masked-lm"]

IGNORE = -100  # cross entropy's mark for positions without a label


@dataclass(frozen=True, kw_only=True)
class Task:
    """Kind and label names of a task, and what it is judged by.

    Attributes:
        kind: One of "classification", "regression", "tokens", "embedding", "masked-lm".
        labels: Names by index; only classification and tokens have them.
        metric: Name of the quality that the task is judged by (`data.metric` lists them); higher is
            better. "" = the default of the kind, whose name it becomes.

    Raises:
        ValueError: The kind has no such metric.
    """

    kind: Kind
    labels: tuple[str, ...] = ()
    metric: str = ""

    def __post_init__(self) -> None:
        if not self.metric:
            object.__setattr__(self, "metric", METRICS[self.kind][0])
        check_metric(self.metric, self.kind, self.labels)

    def scorer(self) -> Metric:
        """The metric itself, to be computed from answers; not for masked language models."""
        return metric_named(self.metric, self.kind, self.labels)

    @property
    def outputs(self) -> int:
        """Width of the model's head."""
        return max(1, len(self.labels))


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Texts with their labels, by column.

    Attributes:
        texts: One text per example; for tokens the words joined by spaces.
        pairs: The second texts, or None.
        words: The words of each example for tokens, or None.
        labels: Label index, number, or list of label indices a word; None where unlabelled.
    """

    texts: list[str]
    pairs: list[str] | None = None
    words: list[list[str]] | None = None
    labels: list[int] | list[float] | list[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: list[int]) -> "Examples":
        """The examples at `indices`, in that order."""

        def pick(column: list | None) -> list | None:  # type: ignore[type-arg]
            return None if column is None else [column[index] for index in indices]

        return Examples(
            texts=[self.texts[index] for index in indices],
            pairs=pick(self.pairs),
            words=pick(self.words),
            labels=pick(self.labels),
        )

    def without_labels(self) -> "Examples":
        """The same texts as an unlabelled set."""
        return replace(self, labels=None)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The splits of a task.

    Attributes:
        name: How reports call it.
        task: What is asked.
        train: What is learnt from.
        dev: What choices are made by.
        test: What is touched once, at the end.
        unlabelled: Texts of the domain without labels, for distillation; may be None.
    """

    name: str
    task: Task
    train: Examples
    dev: Examples
    test: Examples
    unlabelled: Examples | None = None


def joined(labelled: Examples, unlabelled: Examples | None, kind: Kind) -> Examples:
    """Both sets as one; the second has marks instead of labels that losses leave out.

    Raises:
        ValueError: One set has pairs and the other has none.
    """
    if unlabelled is None:
        return labelled
    if (labelled.pairs is None) != (unlabelled.pairs is None):
        raise ValueError(
            "unlabelled: pairs of texts are needed where the task has pairs, and only there"
        )
    labels: list[Any] | None = None
    if labelled.labels is not None:
        blank: list[Any] = [math.nan if kind == "regression" else IGNORE] * len(unlabelled)
        if kind == "tokens":
            assert unlabelled.words is not None
            blank = [[IGNORE] * len(words) for words in unlabelled.words]
        labels = [*labelled.labels, *blank]

    def both(first: list[Any] | None, second: list[Any] | None) -> list[Any] | None:
        return None if first is None or second is None else first + second

    return Examples(
        texts=labelled.texts + unlabelled.texts,
        pairs=both(labelled.pairs, unlabelled.pairs),
        words=both(labelled.words, unlabelled.words),
        labels=labels,
    )
