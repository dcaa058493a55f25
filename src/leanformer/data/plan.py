"""What is known of a data set before any work: counts, and texts that occur more than once.

    repeated        rows of a split whose text (and pair) an earlier row of it has already
    contradictory   texts that occur in a split with more than one label
    shared          texts that occur in two splits, the same ones whichever is asked about first

A text of dev or test that train has too is a leak: the model is judged by what it has learned by
heart. Texts are compared as they are, character by character.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from leanformer.data.task import SPLITS, Dataset, Examples, Task

_MAY_BE_MISSING = {"na", "n/a", "nan", "none", "null"}

Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """What one split holds.

    Attributes:
        split: Its name.
        rows: Its examples.
        repeated: Examples whose text (and pair) an earlier one has already.
        contradictory: Texts (and pairs) with more than one label.
        labels: Examples of each label by name, or words of each tag; empty where labels are
            numbers or there are none.
        numbers: Least, mean and largest of labels that are numbers; None where they are not.
        queries: Queries that texts are ranked for; 0 where nothing is ranked.
    """

    split: str
    rows: int
    repeated: int
    contradictory: int
    labels: Mapping[str, int] = field(default_factory=dict)
    numbers: tuple[float, float, float] | None = None
    queries: int = 0


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Texts (and pairs) that two splits have in common.

    Attributes:
        splits: Their names.
        texts: Different texts in both.
        rows: Examples of each of the two splits that have such a text.
        contradictory: Those of the texts whose labels differ between the two.
    """

    splits: tuple[str, str]
    texts: int
    rows: tuple[int, int]
    contradictory: int

    @property
    def is_leak(self) -> bool:
        """Whether a split that judges shares texts with the one that is learned from."""
        return self.splits[0] == "train" and self.splits[1] in ("dev", "test")


@dataclass(frozen=True, kw_only=True)
class DataCounts:
    """What a data set holds.

    Attributes:
        splits: Each split that there is, unlabelled texts last.
        shared: Each two splits that have texts in common.
        odd_labels: Labels that may have been meant as a mark of a missing one, such as "NA".
    """

    splits: tuple[SplitCounts, ...]
    shared: tuple[Shared, ...]
    odd_labels: tuple[str, ...] = ()


def count_data(dataset: Dataset) -> DataCounts:
    """The counts of a data set."""
    found = {name: getattr(dataset, name) for name in SPLITS}
    examples = {name: own for name, own in found.items() if own is not None and len(own)}
    labels = {name: _labels_by_text(own) for name, own in examples.items()}
    return DataCounts(
        splits=tuple(
            _counts(name, own, labels[name], dataset.task) for name, own in examples.items()
        ),
        shared=tuple(
            shared
            for first, second in combinations(examples, 2)
            if (shared := _shared(first, second, examples, labels)).texts
        ),
        odd_labels=tuple(
            name for name in dataset.task.labels if name.strip().lower() in _MAY_BE_MISSING
        ),
    )


def keys_of(examples: Examples) -> list[Key]:
    """What makes an example the same as another: its text and its pair."""
    pairs = examples.pairs if examples.pairs is not None else [""] * len(examples)
    return list(zip(examples.texts, pairs, strict=True))


def _labels_by_text(examples: Examples) -> dict[Key, set[Any]]:
    """The labels that each text has."""
    found: dict[Key, set[Any]] = {}
    labels: list[Any] = list(examples.labels or [None] * len(examples))
    for key, label in zip(keys_of(examples), labels, strict=True):
        own = found.setdefault(key, set())
        if label is not None:
            own.add(tuple(label) if isinstance(label, list) else label)
    return found


def _counts(
    name: str, examples: Examples, labels: Mapping[Key, set[Any]], task: Task
) -> SplitCounts:
    return SplitCounts(
        split=name,
        rows=len(examples),
        repeated=len(examples) - len(labels),
        contradictory=sum(len(own) > 1 for own in labels.values()),
        labels=_by_name(examples, task),
        numbers=_spread(examples, task),
        queries=len(set(examples.groups or ())),
    )


def _by_name(examples: Examples, task: Task) -> dict[str, int]:
    """How many examples, or words, have each label."""
    if examples.labels is None or not task.labels:
        return {}
    counts: Counter[int] = Counter()
    for label in examples.labels:
        if not isinstance(label, list):
            counts[int(label)] += 1
        elif task.about.reads_words:
            counts.update(map(int, label))
        else:  # a flag per label
            counts.update(place for place, flag in enumerate(label) if flag)
    return {name: counts[place] for place, name in enumerate(task.labels)}


def _spread(examples: Examples, task: Task) -> tuple[float, float, float] | None:
    """Least, mean and largest number."""
    if not examples.labels or task.labels:
        return None
    numbers: list[Any] = list(examples.labels)
    if not all(isinstance(number, int | float) for number in numbers):
        return None
    return float(min(numbers)), float(sum(numbers) / len(numbers)), float(max(numbers))


def _shared(
    first: str,
    second: str,
    examples: Mapping[str, Examples],
    labels: Mapping[str, Mapping[Key, set[Any]]],
) -> Shared:
    ours, theirs = labels[first], labels[second]
    both = ours.keys() & theirs.keys()
    return Shared(
        splits=(first, second),
        texts=len(both),
        rows=(_rows_with(examples[first], both), _rows_with(examples[second], both)),
        contradictory=sum(
            bool(ours[key] and theirs[key] and ours[key] != theirs[key]) for key in both
        ),
    )


def _rows_with(examples: Examples, keys: set[Key]) -> int:
    return sum(key in keys for key in keys_of(examples)) if keys else 0
