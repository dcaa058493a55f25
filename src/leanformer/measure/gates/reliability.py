"""Fit how likely an answer is right, without a label of dev.

    P(right | lead m, class c) = sigmoid(a m + b + d_c)
    a, b, d = argmin  -sum_i log P(right_i) + l/2 sum_c d_c^2        (Newton's method)

The answers must be out of fold: to training texts by a system that was fitted without them. A
class that is seldom answered keeps nearly the common offset b, since d_c is drawn to 0. So the gate
is fixed before dev is looked at, and thresholds on dev are as valid as those of a gate that nobody
fitted (`threshold`).

Legend: N answer, C class, P parameter.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.gates.reliability import Reliability, lead

_PENALTY = 1.0  # l: as much as about four answers say
_LEAST = 1e-3  # of a and b, which stay finite where every answer is right
_STEPS = 50
_CLOSE = 1e-8


def fit_reliability(
    outputs: Sequence[NDArray[np.float32]], labels: Sequence[int] | NDArray[np.int64]
) -> Reliability:
    """A gate for a classifier, or for a tagger if each word is given as a text.

    Args:
        outputs: Out-of-fold logits [C] of each training text; those without a finite second logit
            are left out.
        labels: The right class of each.

    Raises:
        ValueError: There are not as many labels as outputs, or there is no answer to learn from.
    """
    if len(outputs) != len(labels) or not len(outputs):
        raise ValueError(
            f"outputs, labels: {len(outputs)} and {len(labels)}; give one label per output, and at "
            "least one"
        )
    logits_NC = np.stack(list(outputs)).astype(np.float64)
    lead_N, said_N = lead(logits_NC), logits_NC.argmax(1)
    known_N = np.isfinite(lead_N)
    if not known_N.any():
        raise ValueError("outputs: none has two finite logits, so that there is no lead to learn")
    right_N = (said_N == np.asarray(labels))[known_N].astype(float)
    design_NP = np.zeros((len(right_N), 2 + logits_NC.shape[1]))
    design_NP[:, 0], design_NP[:, 1] = lead_N[known_N], 1.0
    design_NP[np.arange(len(right_N)), 2 + said_N[known_N]] = 1.0
    penalty_P = np.full(design_NP.shape[1], _PENALTY)
    penalty_P[:2] = _LEAST
    found_P = _logistic(design_NP, right_N, penalty_P)
    return Reliability(slope=float(found_P[0]), offsets=tuple(map(float, found_P[1] + found_P[2:])))


def _logistic(
    x_NP: NDArray[np.float64], right_N: NDArray[np.float64], penalty_P: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Penalized logistic regression; a step that does not descend is halved."""

    def loss(w_P: NDArray[np.float64]) -> float:
        odds_N = x_NP @ w_P
        return float((np.logaddexp(0, odds_N) - right_N * odds_N).sum() + penalty_P @ w_P**2 / 2)

    w_P = np.zeros(x_NP.shape[1])
    for _ in range(_STEPS):
        share_N = 0.5 * (1 + np.tanh(x_NP @ w_P / 2))
        gradient_P = x_NP.T @ (share_N - right_N) + penalty_P * w_P
        curved_N = share_N * (1 - share_N)
        step_P = np.linalg.solve(
            x_NP.T @ (x_NP * curved_N[:, None]) + np.diag(penalty_P), gradient_P
        )
        size, before = 1.0, loss(w_P)
        while loss(w_P - size * step_P) > before and size > _CLOSE:
            size /= 2
        w_P = w_P - size * step_P
        if np.abs(size * step_P).max() < _CLOSE:
            break
    return w_P
