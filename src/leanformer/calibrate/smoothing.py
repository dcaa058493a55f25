"""SmoothQuant: move difficulty from activations to weights before both are rounded.

    s_i = max|x_i|^α / max|w_i|^(1-α)        y = (x ⊘ s) (W ⊙ s)ᵀ      (Xiao et al. 2023)

A few channels of a transformer's activations are tens of times larger than the rest and take the
whole of an 8-bit grid for themselves; weights have no such channels. The product is unchanged.

Legend: i input channel; x activations, w weights, s the divisor.
"""

import torch
from torch import Tensor


def smoothing(channel_I: Tensor, weight_OI: Tensor, alpha: float = 0.5) -> Tensor:
    """The divisor of each input channel, shape [in].

    Args:
        channel_I: The largest absolute activation of each channel.
        weight_OI: The weight.
        alpha: 0 leaves the activations as they are, 1 makes their channels equal.

    Raises:
        ValueError: `alpha` lies outside 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: {alpha} is not between 0 and 1")
    weight_I = weight_OI.detach().abs().amax(0)
    divisor_I = channel_I.pow(alpha) / weight_I.clamp(min=1e-5).pow(1 - alpha)
    return torch.where(channel_I > 0, divisor_I.clamp(min=1e-5), torch.ones_like(divisor_I))
