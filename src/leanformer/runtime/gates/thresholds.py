"""Outputs of systems that answer labels by different thresholds, on one scale.

A system answers label l where sigmoid(z_l) >= t_l. Shifted by

    z'_l = z_l - logit(t_l) + logit(t'_l)

its outputs give the same answers by the thresholds t'. So two systems' outputs, each with the
thresholds that were tuned for it, can stand in one list. Equal thresholds change nothing.

Legend: L label.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-12  # a threshold of 0 or 1 has no finite log odds


def log_odds(thresholds: Sequence[float], labels: int) -> NDArray[np.float64]:
    """logit(t) of each label, [L]; 0 where there are no thresholds."""
    if not len(thresholds):
        return np.zeros(labels)
    bars_L = np.clip(np.asarray(thresholds, np.float64), _LEAST, 1 - _LEAST)
    odds: NDArray[np.float64] = np.log(bars_L) - np.log1p(-bars_L)
    return odds


def shifted(
    outputs: Sequence[NDArray[np.float32]], own: Sequence[float], to: Sequence[float]
) -> list[NDArray[np.float32]]:
    """Outputs [L] that answer by the thresholds `to` what they answered by their `own`.

    Args:
        outputs: Raw outputs of a multi-label system; those of other tasks are not changed, since
            they have no thresholds.
        own: The probability from which each label was answered; () = 0.5.
        to: The probability from which each label will be answered; () = 0.5.
    """
    labels = max(len(own), len(to))
    shift_L = log_odds(to, labels) - log_odds(own, labels)
    if not shift_L.any():
        return list(outputs)
    return [(row + shift_L).astype(np.float32) for row in outputs]
