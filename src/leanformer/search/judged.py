"""What a system says about a split, and what that is worth: answers, statistics, quality."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from leanformer.data import Encoded, Task
from leanformer.numerics.metrics import Statistics
from leanformer.train.evaluate import answers


@dataclass(frozen=True)
class Judged:
    """Answers of a system to a split, judged by the task's metric.

    Attributes:
        outputs: Its output of each example: [C], [T, C], [words, C] or [D].
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


def judge_outputs(
    outputs: list[NDArray[Any]], encoded: Encoded, task: Task, targets: NDArray[Any] | None = None
) -> Judged:
    """Judge a model's outputs for `encoded`; for embedding by `targets`, the teacher's vectors."""
    return judge_answers(outputs, *answers(outputs, encoded, task, targets), task)


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
