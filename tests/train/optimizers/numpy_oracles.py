"""LAMB and LARS once more, from the papers' equations, in numpy and on whole tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Arrays = Sequence[np.ndarray]


def lamb(
    weights: Arrays,
    slopes: Sequence[Arrays],
    decays: Sequence[float],
    adapted: Sequence[bool],
    *,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    most: float = 10.0,
    correct: bool = True,
) -> list[np.ndarray]:
    """The weights after a step for each row of `slopes`."""
    found = [weight.copy() for weight in weights]
    means = [np.zeros_like(weight) for weight in weights]
    squares = [np.zeros_like(weight) for weight in weights]
    for t, row in enumerate(slopes, 1):
        for i, g in enumerate(row):
            means[i] = betas[0] * means[i] + (1 - betas[0]) * g
            squares[i] = betas[1] * squares[i] + (1 - betas[1]) * g**2
            m = means[i] / (1 - betas[0] ** t) if correct else means[i]
            v = squares[i] / (1 - betas[1] ** t) if correct else squares[i]
            u = m / (np.sqrt(v) + eps) + decays[i] * found[i]
            size, length = np.sqrt((found[i] ** 2).sum()), np.sqrt((u**2).sum())
            ratio = 1.0
            if adapted[i] and size > 0 and length > 0:
                ratio = min(size, most) / length
            found[i] = found[i] - rate * ratio * u
    return found


def lars(
    weights: Arrays,
    slopes: Sequence[Arrays],
    decays: Sequence[float],
    adapted: Sequence[bool],
    *,
    rate: float,
    momentum: float,
    eta: float,
) -> list[np.ndarray]:
    """The weights after a step for each row of `slopes`."""
    found = [weight.copy() for weight in weights]
    sums: list[Any] = [0.0] * len(found)
    for row in slopes:
        for i, g in enumerate(row):
            size, length = np.sqrt((found[i] ** 2).sum()), np.sqrt((g**2).sum())
            local = 1.0
            if adapted[i] and size > 0 and length > 0:
                local = eta * size / (length + decays[i] * size)
            sums[i] = momentum * sums[i] + rate * local * (g + decays[i] * found[i])
            found[i] = found[i] - sums[i]
    return found
