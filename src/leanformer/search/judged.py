"""What a system says about a split, and what that is worth: answers, statistics, quality."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.data import Dataset, Examples, Task
from leanformer.numerics.metrics import Statistics
from leanformer.runtime.answers import tags_of
from leanformer.runtime.system import System


@dataclass(frozen=True)
class Judged:
    """Answers of a system to a split, judged by the task's metric.

    Attributes:
        outputs: Its output of each example: [C], [words, C] or [D].
        predicted: What the outputs say, in the form that the metric takes.
        gold: What is right, in the same form.
        statistics: What each example adds to the metric [N, K]; promises are judged by it.
        quality: The task's metric.
    """

    outputs: list[NDArray[Any]]
    predicted: Any
    gold: Any
    statistics: Statistics
    quality: float


def check_gold(dataset: Dataset) -> None:
    """Refuse a dev split on which even the right answers are worth nothing.

    Raises:
        ValueError: The metric of the gold labels themselves is not above 0: a correlation where all
            are equal, the F1 of a class that is not there.
    """
    task = dataset.task
    if task.kind == "embedding":
        return
    gold = gold_of(dataset.dev, task)
    best = task.scorer().score(gold, gold)
    if not best > 0:
        raise ValueError(
            f"dev: even the right answers to its {len(dataset.dev)} examples have a {task.metric} "
            f"of {best:.3g}, so that nothing can be judged by it; give dev examples with other "
            "labels, or choose another --metric"
        )


def gold_of(examples: Examples, task: Task) -> Any:
    """The labels of `examples` in the form that the metric takes; not for embedding."""
    assert examples.labels is not None
    if task.kind == "tokens":
        return [[task.labels[index] for index in row] for row in examples.labels]  # type: ignore[union-attr]
    return np.asarray(examples.labels)


def judge_system(
    system: System, examples: Examples, task: Task, targets: NDArray[Any] | None = None
) -> Judged:
    """Judge what a system answers to `examples`, as it is served.

    Args:
        system: What answers.
        examples: Texts with labels; of tokens their words.
        task: Kind, labels and metric.
        targets: For embedding, the teacher's vectors of the examples [N, D].
    """
    given: list[Any] | None = examples.words if task.kind == "tokens" else examples.texts
    assert given is not None
    outputs = system.answer(given, examples.pairs)
    gold = targets if task.kind == "embedding" else gold_of(examples, task)
    return judge_answers(outputs, _predicted(outputs, task), gold, task)


def judge_answers(outputs: list[NDArray[Any]], predicted: Any, gold: Any, task: Task) -> Judged:
    """Judge answers that are in the metric's form already."""
    metric = task.scorer()
    return Judged(
        outputs,
        predicted,
        gold,
        metric.statistics(predicted, gold),
        metric.score(predicted, gold),
    )


def _predicted(outputs: list[NDArray[Any]], task: Task) -> Any:
    """What raw outputs say, in the form that the metric takes."""
    if task.kind == "embedding":
        return np.stack(outputs)
    if task.kind == "regression":
        return [float(row[0]) for row in outputs]
    if task.kind == "tokens":
        return [tags_of(row, task.labels) for row in outputs]
    return np.array([int(row.argmax()) for row in outputs])
