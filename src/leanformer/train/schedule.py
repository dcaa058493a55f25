"""Learning-rate schedules: the factor on the peak rate at each step.

    warm-up    (t + 1) / (w + 1)                                 t < w
    linear     1 - (t - w) / (T - w)
    cosine     (1 + cos(pi (t - w) / (T - w))) / 2
    constant   1

t is the step, w the steps of warm-up, T all steps.
"""

import math


def factor(name: str, step: int, steps: int, warmup: float) -> float:
    """The factor in [0, 1] at `step` (0-based) of `steps`, `warmup` being a share of the steps."""
    rising = int(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    if name == "constant":
        return 1.0
    done = (step - rising) / max(1, steps - rising)
    return 1 - done if name == "linear" else (1 + math.cos(math.pi * done)) / 2
