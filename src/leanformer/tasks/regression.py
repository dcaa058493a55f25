"""Regression: one number per text or pair, which is the output itself."""

from collections.abc import Sequence
from typing import Any

from leanformer.core.technique import technique
from leanformer.numerics.metrics import Metric, Pearson, Spearman
from leanformer.tasks.answers import correlation
from leanformer.tasks.interface import Asked, Outputs, TaskKind
from leanformer.tasks.labels import Number
from leanformer.text import Reading


@technique("regression", paper="")
class Regression(TaskKind):
    """One number per text or pair of texts: similarity, ratings, prices."""

    metrics = ("spearman", "pearson")
    head = "classification"
    problem_type = "regression"
    form = Number()
    output = "numbers"

    def metric(self, name: str, names: tuple[str, ...]) -> Metric:
        """Of numbers."""
        made: dict[str, Metric] = {"spearman": Spearman(), "pearson": Pearson()}
        return made[name]

    def answers(self, outputs: Outputs, asked: Asked) -> list[float]:
        """The numbers."""
        return [float(row.reshape(-1)[0]) for row in outputs]

    def right(self, asked: Asked) -> list[float]:
        """The numbers."""
        assert asked.labels is not None
        return list(asked.labels)

    def agreement(self, reference: Outputs, other: Outputs) -> float:
        """Pearson's correlation."""
        return correlation(reference, other)

    def serve(
        self,
        outputs: Outputs,
        names: tuple[str, ...],
        texts: Sequence[str],
        readings: Sequence[Reading],
        thresholds: Sequence[float] = (),
    ) -> list[float]:
        """The numbers."""
        return [float(row[0]) for row in outputs]

    def plain(self, answer: float) -> dict[str, Any]:
        """The score."""
        return {"score": answer}
