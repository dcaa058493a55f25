"""What a model is asked to do, and the examples that say so.

All tasks have one shape of data; what differs, `leanformer.tasks` says. A pair of texts is a
property of the examples, not a task of its own.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from leanformer.data.origin import Origin
from leanformer.data.relations import Relations
from leanformer.numerics.metrics import Metric
from leanformer.tasks import TaskKind, check_metric, kind_named, metric_named

SPLITS = ("train", "dev", "test", "unlabelled")
"""The splits of a `Dataset`; only the last one may be missing."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a data set asks: the kind of task, its label names, and what it is judged by.

    Attributes:
        kind: Name of the kind of task, one of `leanformer.tasks.kind_names()`.
        labels: Names by index; () where labels are numbers or there are none.
        thresholds: The probability from which each label is answered; () = none are tuned yet, or
            the kind has none.
        metric: Name of the quality that the task is judged by, one of the kind's; higher is better.
            "" = the default of the kind, whose name it becomes.

    Raises:
        ValueError: There is no such kind, or it has no such metric.
    """

    kind: str
    labels: tuple[str, ...] = ()
    metric: str = ""
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.metric:
            object.__setattr__(self, "metric", self.about.metrics[0])
        check_metric(self.metric, self.about, self.labels)

    @property
    def about(self) -> TaskKind:
        """What all data sets of this kind have in common."""
        return kind_named(self.kind)

    def scorer(self) -> Metric:
        """The metric itself, to be computed from answers; not for masked language models."""
        return metric_named(self.metric, self.about, self.labels)

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
        groups: The query that each example belongs to, where texts are ranked by query, or None.
        relations: Which texts belong together, where vectors are learned from pairs; `texts` then
            holds all of them, each once or more. None = nothing is known of it.
        labels: Label index, number, or list of label indices per word, as the task's `LabelForm`
            keeps them; None where unlabelled.
    """

    texts: list[str]
    pairs: list[str] | None = None
    words: list[list[str]] | None = None
    labels: list[int] | list[float] | list[list[int]] | list[list[float]] | None = None
    groups: list[str] | None = None
    relations: Relations | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: list[int]) -> "Examples":
        """The examples at `indices`, in that order; without relations, which are of all texts."""

        def pick(column: list | None) -> list | None:  # type: ignore[type-arg]
            return None if column is None else [column[index] for index in indices]

        return Examples(
            texts=[self.texts[index] for index in indices],
            pairs=pick(self.pairs),
            words=pick(self.words),
            labels=pick(self.labels),
            groups=pick(self.groups),
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
        origin: Where it was read from; None of one that was not read. Data sets with the same
            examples are equal wherever they came from.
    """

    name: str
    task: Task
    train: Examples
    dev: Examples
    test: Examples
    unlabelled: Examples | None = None
    origin: Origin | None = field(default=None, compare=False)


def joined(labelled: Examples, unlabelled: Examples | None, kind: str) -> Examples:
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
        form, first = kind_named(kind).form, labelled.labels[0]
        assert form is not None, "a task with labels says how they are kept"
        width = len(first) if isinstance(first, list) else 1
        widths = (
            [width] * len(unlabelled) if unlabelled.words is None else map(len, unlabelled.words)
        )
        labels = [*labelled.labels, *map(form.blank, widths)]

    def both(first: list[Any] | None, second: list[Any] | None) -> list[Any] | None:
        return None if first is None or second is None else first + second

    return Examples(
        texts=labelled.texts + unlabelled.texts,
        pairs=both(labelled.pairs, unlabelled.pairs),
        words=both(labelled.words, unlabelled.words),
        labels=labels,
        groups=both(labelled.groups, unlabelled.groups),
    )
