"""Ranking: how well a text answers a query; both are read together (a cross-encoder).

    score = sigmoid(z)        a query's texts are put in the order of their scores

Labels are 0 and 1, or grades (0, 1, 2, 3 …), which are divided by the largest of the training rows:
the model learns a probability of relevance, by cross entropy. This is how sentence-transformers
trains a CrossEncoder on 0/1 labels and on scores, and its models open here.

Rows of one query belong together: those with the same text of the query, or with the same id where
a column of ids is named (`query_id`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leanformer.core.shown import shown
from leanformer.core.technique import technique
from leanformer.numerics.metrics import Metric, Ndcg, ReciprocalRank
from leanformer.tasks.answers import correlation, sigmoid
from leanformer.tasks.interface import Asked, Outputs, TaskKind
from leanformer.tasks.labels import LabelForm, is_number, written
from leanformer.text import Reading

Ranked = list[tuple[str, float]]


class Grade(LabelForm):
    """How relevant a text is to its query: 0 = not at all."""

    dtype = "float32"
    to_one = True

    def read(self, row: Mapping[str, Any], column: str) -> str:
        """The grade as it is written."""
        return written(row, column)

    def names(self, written: Sequence[str], column: str) -> tuple[str, ...]:
        """None."""
        if not any(is_number(grade) and float(grade) > 0 for grade in written):
            raise ValueError(
                f"column {shown(column)} has no grade above 0, so that no text is relevant; is "
                "it the "
                "right column?"
            )
        return ()

    def parse(self, written: str, names: tuple[str, ...]) -> float:
        """The grade, which must be finite and not negative."""
        grade = float(written) if is_number(written) else math.nan
        if not (math.isfinite(grade) and grade >= 0):
            raise ValueError(f"grade {shown(written)} is not a number from 0 up")
        return grade

    def blank(self, width: int) -> float:
        """NaN."""
        return math.nan

    def renumbered(self, label: float, new: Sequence[int], count: int) -> float:
        """The same grade."""
        return label


@technique("ranking", paper="Nogueira & Cho 2019, arXiv:1901.04085")
class Ranking(TaskKind):
    """A score per query and text, by which a query's texts are ordered: rerankers."""

    metrics = ("ndcg@10", "mrr@10")
    head = "classification"
    problem_type = "regression"
    form = Grade()
    pairs = "needed"
    grouped = True
    output = "decisions"

    def metric(self, name: str, names: tuple[str, ...]) -> Metric:
        """Of scores by query."""
        made: dict[str, Metric] = {"ndcg@10": Ndcg(10), "mrr@10": ReciprocalRank(10)}
        return made[name]

    def answers(self, outputs: Outputs, asked: Asked) -> Ranked:
        """Query and score of each text."""
        return _by_query([float(row.reshape(-1)[0]) for row in outputs], asked)

    def right(self, asked: Asked) -> Ranked:
        """Query and grade of each text."""
        assert asked.labels is not None
        return _by_query(asked.labels, asked)

    def agreement(self, reference: Outputs, other: Outputs) -> float:
        """Pearson's correlation of the scores."""
        return correlation(reference, other)

    def serve(
        self,
        outputs: Outputs,
        names: tuple[str, ...],
        texts: Sequence[str],
        readings: Sequence[Reading],
        thresholds: Sequence[float] = (),
    ) -> list[float]:
        """The score of each query and text, between 0 and 1."""
        return [float(sigmoid(np.asarray(row).reshape(-1))[0]) for row in outputs]

    def plain(self, answer: float) -> dict[str, Any]:
        """The score."""
        return {"score": answer}


def _by_query(values: Sequence[float], asked: Asked) -> Ranked:
    assert asked.groups is not None, "texts are ranked by query"
    return list(zip(asked.groups, values, strict=True))
