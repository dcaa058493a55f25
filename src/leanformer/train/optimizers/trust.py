"""Trust ratios: how long the step of a whole tensor is, in terms of how long the tensor is.

    ratio = phi(||w||) / ||u||          1 where ||w|| or ||u|| is 0
    phi(z) = min(z, high)

Large batches need large learning rates, and these make the layers diverge whose weights are small
beside their gradients. A ratio of norms gives every layer a step of the same relative length.
Biases and norms are left out: the length of a vector of offsets or gains says nothing of how far
it may move. Embeddings are adapted although they do not decay, as in the published BERT runs: at
LAMB's rates, their plain Adam step would be hundreds of times as long.

Legend: w weight, u update, both of the whole tensor, whatever the ranks hold of it.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from leanformer.train.scheduled_module import lr_scale

_BUCKET = 2**24
"""Elements whose updates are held at once: memory for fewer all-reduces."""


def trust_ratio(
    weight_norm: Tensor, update_norm: Tensor, max_weight_norm: float = float("inf")
) -> Tensor:
    """phi(||w||) / ||u||, elementwise; 1 where either norm is 0.

    Args:
        weight_norm: Norms of whole weights, of any shape.
        update_norm: Norms of their updates.
        max_weight_norm: The norm beyond which steps of larger weights grow no further.
    """
    known = (weight_norm > 0) & (update_norm > 0)
    ratio = weight_norm.clamp(max=max_weight_norm) / torch.where(known, update_norm, 1.0)
    return torch.where(known, ratio, 1.0)


def adapts(parameter: nn.Parameter, *, vectors: bool) -> bool:
    """Whether a parameter has a trust ratio.

    Matrices and embeddings do, and what is trained at a rate of its own does not: that rate says
    how far it moves.

    Args:
        parameter: A parameter of the model or of the loss.
        vectors: Whether biases and norms do too.
    """
    return lr_scale(parameter) is None and (vectors or parameter.dim() >= 2)


def buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Those that have gradients, in lists of about 16 million elements; alike on all ranks."""
    bucket: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if bucket and size + parameter.numel() > _BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()  # of the whole, also where a piece is held
    if bucket:
        yield bucket
