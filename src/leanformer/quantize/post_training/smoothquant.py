"""SmoothQuant: move difficulty from activations to weights before both are rounded.

    s_i = max|x_i|^α / max|w_i|^(1-α)        y = (x ⊘ s) (W ⊙ s)ᵀ      (Xiao et al. 2023)

A few channels of a transformer's activations are tens of times larger than the rest, and the one
8-bit grid of the tensor must hold them; weights have no such channels. The product is unchanged.

Example, with α = 1/2: a channel of activations up to 50 whose weights reach 0.5 has
s = √(50 / 0.5) = 10. Its activations then reach 5, as the others do, and its weights 5.

Legend: i input channel; x activations, w weights, s the divisor.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.core.machine.device import device_of, inputs_on


def smoothquant(channel_I: Tensor, weight_OI: Tensor, alpha: float = 0.5) -> Tensor:
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


def same_inputs(
    model: nn.Module, batch: dict[str, Tensor], layers: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """Names of `layers` in groups that read the same tensor, in the order of their first members.

    Args:
        model: It is run once, without gradients.
        batch: Its keyword arguments.
        layers: Linear layers that the batch reaches.
    """
    read: dict[str, Tensor] = {}  # tensors are held, so that no two have the same identity

    def see(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            read[name] = inputs[0]

        return look

    handles = [model.get_submodule(n).register_forward_pre_hook(see(n)) for n in layers]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(**inputs_on(device_of(model), batch))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    groups: dict[int, list[str]] = {}
    for name in layers:
        groups.setdefault(id(read[name]), []).append(name)
    return [tuple(names) for names in groups.values()]


def weights_of(model: nn.Module, layers: tuple[str, ...]) -> Tensor:
    """The weights of layers that read the same tensor, as of one, [out, in]."""
    weights: list[Any] = [model.get_submodule(name).weight for name in layers]
    return torch.cat([weight.detach() for weight in weights])
