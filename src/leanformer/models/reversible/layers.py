"""Reversible residual layers: activations that need no memory, because they can be computed back.

    couple      y1 = x1 + F(x2)         y2 = x2 + G(y1)
    invert      x2 = y2 - G(y1)         x1 = y1 - F(x2)

A stack keeps the outputs of its last layer alone, however deep it is; the backward pass computes
the inputs of each layer from its outputs, with the same dropout, and then its gradients. That costs
one more forward pass, as checkpointing does. A reversible stack is another model than one of plain
residual layers: it has two streams, and it is trained from the beginning.

x1 and x2 come back with rounding errors, which grow with depth: in fp32 some 2e-7 of their size
after 8 layers, 4e-6 after 64.

Legend: x1, x2 streams [B, T, D], F attention, G feed-forward network, each with its norm.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from leanformer.core.machine.generators import (
    generator_states,
    kept_generators,
    set_generator_states,
)

Part = Callable[[Tensor], Tensor]


def couple(x1: Tensor, x2: Tensor, f: Part, g: Part) -> tuple[Tensor, Tensor]:
    """The outputs y1, y2 of a reversible layer."""
    y1 = x1 + f(x2)
    return y1, x2 + g(y1)


def invert(y1: Tensor, y2: Tensor, f: Part, g: Part) -> tuple[Tensor, Tensor]:
    """The inputs x1, x2 of a reversible layer, from its outputs."""
    x2 = y2 - g(y1)
    return y1 - f(x2), x2


class Pair(NamedTuple):
    """A reversible layer.

    Attributes:
        f: What is added to the first stream, of the second.
        g: What is added to the second stream, of the first.
        f_parameters: The trained parameters of `f`.
        g_parameters: Those of `g`.
    """

    f: Part
    g: Part
    f_parameters: tuple[nn.Parameter, ...]
    g_parameters: tuple[nn.Parameter, ...]


def run_reversible(pairs: Sequence[Pair], x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs of layers one after the other, keeping none of their activations.

    Args:
        pairs: The layers. F and G may draw at random, and must not remember anything.
        x1: First stream.
        x2: Second stream, of the same shape.
    """
    if not torch.is_grad_enabled():
        for pair in pairs:
            x1, x2 = couple(x1, x2, pair.f, pair.g)
        return x1, x2
    parameters = [p for pair in pairs for p in (*pair.f_parameters, *pair.g_parameters)]
    outputs: tuple[Tensor, Tensor] = _Reversible.apply(pairs, x1, x2, *parameters)
    return outputs


class ReversibleStack(nn.Module):
    """Reversible layers from modules.

    Args:
        fs: F of each layer, [..., D] -> [..., D].
        gs: G of each layer.

    Raises:
        ValueError: There are not as many of one as of the other.
    """

    def __init__(self, fs: Sequence[nn.Module], gs: Sequence[nn.Module]) -> None:
        super().__init__()
        if len(fs) != len(gs):
            raise ValueError(
                f"ReversibleStack: {len(fs)} modules F and {len(gs)} modules G; each layer has one "
                "of both"
            )
        self.fs, self.gs = nn.ModuleList(fs), nn.ModuleList(gs)

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams after the last layer."""
        pairs = zip(self.fs, self.gs, strict=True)
        return run_reversible([Pair(f, g, trained(f), trained(g)) for f, g in pairs], x1, x2)


def trained(*modules: nn.Module) -> tuple[nn.Parameter, ...]:
    """The parameters of modules that have gradients."""
    return tuple(p for module in modules for p in module.parameters() if p.requires_grad)


class _Reversible(torch.autograd.Function):
    """All layers at once: only the last outputs and the states of random generators are kept."""

    @staticmethod
    def forward(
        ctx: Any, pairs: Sequence[Pair], x1: Tensor, x2: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Both streams after the last layer."""
        kind = x1.device.type
        ctx.pairs, ctx.states = pairs, []
        ctx.autocast = kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
        for pair in pairs:
            before = generator_states(x1.device)
            x1 = x1 + pair.f(x2)
            ctx.states.append((before, generator_states(x1.device)))
            x2 = x2 + pair.g(x1)
        ctx.save_for_backward(x1, x2)
        return x1, x2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d1: Tensor, d2: Tensor) -> tuple[Any, ...]:
        """Gradients of the first inputs and of all parameters."""
        y1, y2 = ctx.saved_tensors
        kind, dtype, enabled = ctx.autocast
        slopes: list[Tensor | None] = []
        with kept_generators(y1.device):
            for pair, (of_f, of_g) in zip(reversed(ctx.pairs), reversed(ctx.states), strict=True):
                with torch.autocast(kind, dtype, enabled=enabled):
                    g, d_g, g_slopes = _again(pair.g, y1, d2, pair.g_parameters, of_g)
                    y2, d1 = y2 - g, d1 + d_g
                    f, d_f, f_slopes = _again(pair.f, y2, d1, pair.f_parameters, of_f)
                    y1, d2 = y1 - f, d2 + d_f
                slopes = [*f_slopes, *g_slopes, *slopes]
        return None, d1, d2, *slopes


def _again(
    part: Part,
    x: Tensor,
    slope: Tensor,
    parameters: tuple[nn.Parameter, ...],
    states: dict[str, Tensor],
) -> tuple[Tensor, Tensor, Sequence[Tensor | None]]:
    """F or G as it ran before: its value, and the gradients of its input and parameters."""
    set_generator_states(x.device, states)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = part(x)
    slope = slope.to(value.dtype)
    own, *others = torch.autograd.grad(value, [x, *parameters], slope, allow_unused=True)
    return value.detach(), own, others
