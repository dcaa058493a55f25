"""What the student does differently from its teacher: by class, by length, by example."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from leanformer.data import Dataset
from leanformer.numerics.metrics import Accuracy, Metric
from leanformer.search.judged import Judged
from leanformer.tasks.answers import softmax

_LENGTHS = (8, 16, 32, 64, 128)
_SHOWN = 60


def by_length(
    dataset: Dataset, lengths: Sequence[int], teacher: Judged, student: Judged
) -> list[dict[str, Any]]:
    """Quality of both on the test split, by tokens of the text as the teacher reads it."""
    names = [f"up to {top} tokens" for top in _LENGTHS] + [f"over {_LENGTHS[-1]} tokens"]

    def name(index: int) -> str:
        return names[sum(lengths[index] > top for top in _LENGTHS)]

    rows = _slices(name, dataset.task.scorer(), teacher, student)
    return sorted(rows, key=lambda row: names.index(row["name"]))


def by_class(dataset: Dataset, teacher: Judged, student: Judged) -> list[dict[str, Any]]:
    """Share of right answers of both on the test split, by gold label; classification only.

    Other metrics say nothing of one class's examples: a correlation needs two, and a mean of F1
    would count every class that is wrongly answered.
    """
    labels: Any = dataset.test.labels
    names = dataset.task.labels
    return _slices(lambda index: names[labels[index]], Accuracy(), teacher, student)


def disagreements(dataset: Dataset, teacher: Judged, student: Judged) -> list[dict[str, Any]]:
    """Test examples on which the two choose differently, the surest first; classification only."""
    labels: Any = dataset.test.labels
    names = dataset.task.labels
    rows = []
    for index, (theirs, ours) in enumerate(zip(teacher.outputs, student.outputs, strict=True)):
        shares = softmax(theirs), softmax(ours)
        chosen = [int(share.argmax()) for share in shares]
        if chosen[0] != chosen[1]:
            rows.append(
                {
                    "text": dataset.test.texts[index],
                    "pair": dataset.test.pairs[index] if dataset.test.pairs else None,
                    "label": names[labels[index]],
                    "teacher": names[chosen[0]],
                    "student": names[chosen[1]],
                    "teacher_confidence": float(shares[0].max()),
                    "student_confidence": float(shares[1].max()),
                }
            )
    rows.sort(key=lambda row: -min(row["teacher_confidence"], row["student_confidence"]))
    return rows[:_SHOWN]


def _slices(
    name: Callable[[int], str], metric: Metric, teacher: Judged, student: Judged
) -> list[dict[str, Any]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index in range(len(teacher.outputs)):
        groups[name(index)].append(index)
    return [
        {
            "name": group,
            "count": len(members),
            "teacher": _quality(metric, teacher, members),
            "student": _quality(metric, student, members),
        }
        for group, members in groups.items()
    ]


def _quality(metric: Metric, judged: Judged, members: list[int]) -> float:
    return metric.score(_of(judged.predicted, members), _of(judged.gold, members))


def _of(answers: Any, members: list[int]) -> Any:
    """The answers to some examples; None where there are none, as of tokens to predict."""
    if answers is None or isinstance(answers, np.ndarray):
        return None if answers is None else answers[members]
    return [answers[index] for index in members]
