"""Classification: one label per text or pair, the one with the largest logit.

    p = softmax(z_C)        answer = argmax z_C

Legend: C class.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.technique import technique
from leanformer.numerics.metrics import F1, Accuracy, MacroF1, Matthews, Metric
from leanformer.tasks.answers import Prediction, equal_choices, predictions
from leanformer.tasks.interface import Asked, Outputs, TaskKind
from leanformer.tasks.labels import ClassName
from leanformer.tasks.metric import F1_OF
from leanformer.text import Reading


@technique("classification", paper="")
class Classification(TaskKind):
    """One label per text or pair of texts: topics, intents, sentiment, entailment."""

    metrics = ("accuracy", "macro-f1", "mcc")
    label_metrics = True
    head = "classification"
    problem_type = "single_label_classification"
    form = ClassName()
    output = "classes"
    majority = True

    def metric(self, name: str, names: tuple[str, ...]) -> Metric:
        """Of label indices."""
        if name.startswith(F1_OF):
            return F1(names.index(name.removeprefix(F1_OF)), name)
        made: dict[str, Metric] = {
            "accuracy": Accuracy(),
            "macro-f1": MacroF1(len(names)),
            "mcc": Matthews(len(names)),
        }
        return made[name]

    def answers(self, outputs: Outputs, asked: Asked) -> NDArray[np.int64]:
        """Label indices."""
        return np.array([int(row.argmax()) for row in outputs])

    def right(self, asked: Asked) -> NDArray[Any]:
        """Label indices."""
        assert asked.labels is not None
        return np.asarray(asked.labels)

    def agreement(self, reference: Outputs, other: Outputs) -> float:
        """Share of equal labels."""
        return equal_choices(reference, other)

    def serve(
        self,
        outputs: Outputs,
        names: tuple[str, ...],
        texts: Sequence[str],
        readings: Sequence[Reading],
        thresholds: Sequence[float] = (),
    ) -> list[Prediction]:
        """The likeliest label and its probability."""
        return predictions(outputs, names)

    def plain(self, answer: Prediction) -> dict[str, Any]:
        """Label and score."""
        return {"label": answer.label, "score": answer.score}
