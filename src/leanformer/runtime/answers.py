"""What a served model answers (`leanformer.tasks.answers`), and what stands in for an answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.tasks.answers import Prediction, predictions, softmax, spans_of

__all__ = ["Outputs", "Prediction", "Unanswered", "predictions", "softmax", "spans_of"]

Outputs = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Unanswered:
    """Stands in the place of an answer and says why a text has none."""

    error: str
