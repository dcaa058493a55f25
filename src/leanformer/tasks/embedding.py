"""Embedding: one vector per text; it has no labels, and its teacher's vectors are the right ones.

Legend: N text, D width of a vector.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.technique import technique
from leanformer.numerics.metrics import Cosine, Metric
from leanformer.tasks.answers import cosines
from leanformer.tasks.interface import Asked, Outputs, TaskKind
from leanformer.text import Reading


@technique("embedding", paper="")
class Embedding(TaskKind):
    """One vector per text, close to its teacher's: search, clustering, duplicates."""

    metrics = ("cosine",)
    head = "embedding"
    no_labels = "an embedding task has no labels; its model is its own teacher"
    pairs = "split"
    output = "vector"

    def metric(self, name: str, names: tuple[str, ...]) -> Metric:
        """Of vectors."""
        return Cosine()

    def answers(self, outputs: Outputs, asked: Asked) -> NDArray[np.float32]:
        """The vectors, [N, D]."""
        return np.stack(list(outputs))

    def right(self, asked: Asked) -> NDArray[np.float32]:
        """The teacher's vectors, [N, D]."""
        assert asked.vectors is not None, "an embedding is judged by its teacher's"
        return asked.vectors

    def agreement(self, reference: Outputs, other: Outputs) -> float:
        """Mean cosine."""
        return float(cosines(np.stack(list(reference)), np.stack(list(other))).mean())

    def serve(
        self,
        outputs: Outputs,
        names: tuple[str, ...],
        texts: Sequence[str],
        readings: Sequence[Reading],
        thresholds: Sequence[float] = (),
    ) -> list[NDArray[np.float32]]:
        """The vectors."""
        return list(outputs)

    def plain(self, answer: NDArray[np.float32]) -> dict[str, Any]:
        """The vector."""
        return {"vector": answer.tolist()}
