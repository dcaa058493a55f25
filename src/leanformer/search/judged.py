"""What a system says about a split, and what that is worth: answers, statistics, quality."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.data import Dataset, Examples, Task
from leanformer.numerics.metrics import Statistics
from leanformer.runtime.serving.answers import words_read
from leanformer.runtime.system import System
from leanformer.tasks import Asked


@dataclass(frozen=True)
class Judged:
    """Answers of a system to a split, judged by the task's metric.

    Attributes:
        outputs: Its output of each example: [C], [words, C] or [D].
        predicted: What the outputs say, in the form that the metric takes.
        gold: What is right, in the same form.
        statistics: What each example, or each query, adds to the metric [N, K]; promises are judged
            by it.
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
    if task.about.form is None:
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
    return task.about.right(asked_of(examples, task))


def asked_of(examples: Examples, task: Task, targets: NDArray[np.float32] | None = None) -> Asked:
    """What is known of `examples` when whole words are answered, and not tokens of a model."""
    firsts = None if examples.words is None else [range(len(words)) for words in examples.words]
    return Asked(
        names=task.labels,
        labels=examples.labels,
        firsts=firsts,
        vectors=targets,
        groups=examples.groups,
        thresholds=task.thresholds,
    )


def thresholds_of(outputs: list[NDArray[Any]], examples: Examples, task: Task) -> tuple[float, ...]:
    """The thresholds that suit a system's outputs for `examples`; () where a task has none."""
    return task.about.thresholds(outputs, asked_of(examples, task))


def judge_system(
    system: System, examples: Examples, task: Task, targets: NDArray[Any] | None = None
) -> Judged:
    """Judge what a system answers to `examples`, as it is served.

    Args:
        system: What answers.
        examples: Texts with labels; where words are labelled, their words.
        task: Kind, labels and metric.
        targets: For embedding, the teacher's vectors of the examples [N, D].
    """
    given: list[Any] | None = examples.words if task.about.reads_words else examples.texts
    assert given is not None
    return judge_outputs(system.answer(given, examples.pairs), examples, task, targets)


def judge_outputs(
    outputs: list[NDArray[Any]],
    examples: Examples,
    task: Task,
    targets: NDArray[Any] | None = None,
) -> Judged:
    """Judge raw outputs for `examples`, whoever gave them; arguments as for `judge_system`."""
    asked = asked_of(examples, task, targets)
    if task.about.reads_words:
        asked = replace(asked, firsts=[words_read(row) for row in outputs])
    return judge_answers(outputs, task.about.answers(outputs, asked), task.about.right(asked), task)


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
