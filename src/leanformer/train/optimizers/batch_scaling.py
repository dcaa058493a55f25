"""How the learning rate and its warm-up follow the batch size.

    linear         r = r0 B / B0            SGD: B / B0 small steps in one (Goyal et al.)
    square-root    r = r0 sqrt(B / B0)      Adam, LAMB, LARS: their steps do not grow with the
                                            gradient, only their noise falls (You et al., Malladi
                                            et al.)

Both hold up to the critical batch size (`train.noise.gradient_noise`) and not beyond, and both need
a warm-up: its examples stay the same (Goyal et al.: 5 epochs), or its steps do (You et al.).

Legend: r learning rate at batch size B, r0 the rate that was chosen at B0.
"""

import math
from typing import Literal

Rule = Literal["linear", "square-root"]


def linear_scaling(rate: float, batch_size: float, base_batch_size: float) -> float:
    """The learning rate at `batch_size`, in proportion to it: Goyal et al. 2017, arXiv:1706.02677.

    Args:
        rate: The learning rate that was chosen at `base_batch_size`.
        batch_size: The batch size of the training.
        base_batch_size: In the same unit.
    """
    return rate * batch_size / base_batch_size


def square_root_scaling(rate: float, batch_size: float, base_batch_size: float) -> float:
    """The learning rate at `batch_size`, in proportion to its square root: You et al. 2020,
    arXiv:1904.00962; derived for Adam by Malladi et al. 2022, arXiv:2205.10287.

    Arguments are as for `linear_scaling`.
    """
    return rate * math.sqrt(batch_size / base_batch_size)


def scaled_rate(rule: Rule, rate: float, batch_size: float, base_batch_size: float) -> float:
    """The learning rate at `batch_size` by a rule of this module."""
    scale = linear_scaling if rule == "linear" else square_root_scaling
    return scale(rate, batch_size, base_batch_size)


def warmup_share(examples: float, *, batch_size: int, steps: int) -> float:
    """The share of the steps that passes over `examples`: a schedule's `warmup`, whose length in
    examples does not depend on the batch size.

    Raises:
        ValueError: The training does not have so many examples.
    """
    whole = batch_size * steps
    if not 0 <= examples < whole:
        raise ValueError(
            f"examples: a warm-up over {examples:,} of the {whole:,} examples of the training "
            "leaves no step after it; give fewer, or train for longer"
        )
    return examples / whole
