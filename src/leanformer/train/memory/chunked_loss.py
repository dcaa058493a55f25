"""The loss of an output layer in chunks: a chunk's gradient is computed with its loss.

    for each chunk    z = W h + b        L += loss(z, y)        dW += dL/dW    dh = dL/dh

Legend: N target, D hidden width, V vocabulary, h [N, D], z [N, V], y [N].
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Total = Callable[[Tensor, Tensor], Tensor]
"""Sums the loss of logits [N, V] against labels [N]."""


def chunked_loss(
    head: Callable[[Tensor], Tensor],
    parameters: list[nn.Parameter],
    hidden: Tensor,
    labels: Tensor,
    total: Total,
    tokens: int,
) -> Tensor:
    """The loss of `hidden` summed over its targets, of which `tokens` have logits at a time.

    Args:
        head: Logits [N, V] of hidden states [N, D].
        parameters: Those of the head.
        hidden: Hidden states, [N, D].
        labels: Their targets, [N].
        total: Sums the loss of logits [N, V] against labels [N].
        tokens: Targets of a chunk; 0 = all.

    Returns:
        A scalar that can be differentiated once.
    """
    if not tokens or not torch.is_grad_enabled():
        parts = zip(_chunks(hidden, tokens), _chunks(labels, tokens), strict=True)
        return torch.stack([total(head(part), known) for part, known in parts]).sum()
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    loss: Tensor = _Chunked.apply(head, total, tokens, labels, hidden, *trained)
    return loss


def _chunks(tensor: Tensor, tokens: int) -> tuple[Tensor, ...]:
    return tensor.split(tokens) if tokens and len(tensor) else (tensor,)


class _Chunked(torch.autograd.Function):
    """The loss of all chunks and, in the same pass, its gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        head: Callable[[Tensor], Tensor],
        total: Total,
        tokens: int,
        labels: Tensor,
        hidden: Tensor,
        *trained: Tensor,
    ) -> Tensor:
        """Sum over the chunks; their gradients are kept for the backward pass."""
        sums: list[Tensor | None] = [None] * len(trained)
        losses, slopes = [], []
        for part, known in zip(_chunks(hidden, tokens), _chunks(labels, tokens), strict=True):
            with torch.enable_grad():
                part = part.detach().requires_grad_()
                loss = total(head(part), known)
                slope, *others = torch.autograd.grad(loss, [part, *trained], allow_unused=True)
            losses.append(loss.detach())
            slopes.append(slope)
            for place, other in enumerate(others):
                held = sums[place]
                sums[place] = other if held is None or other is None else held.add_(other)
        ctx.there = [one is not None for one in sums]
        ctx.save_for_backward(torch.cat(slopes), *(one for one in sums if one is not None))
        return torch.stack(losses).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Any, ...]:
        """The gradients of the forward pass, times that of the loss."""
        hidden, *sums = ctx.saved_tensors
        rest = iter(sums)
        trained = [next(rest) * slope if there else None for there in ctx.there]
        return None, None, None, None, (hidden * slope).to(hidden.dtype), *trained
