"""Norms of whole tensors, of which this process may hold a piece.

    ||x|| = sqrt(sum_ranks ||x_rank||^2)

A sharded parameter (a DTensor) is split over the ranks of a mesh. A norm of the piece alone is
finite, plausible and wrong: trust ratios made of it differ from rank to rank. The pieces' squares
are stacked, so that many tensors cost one all-reduce per mesh dimension that shards them.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate


def whole_norms(tensors: Sequence[Tensor], *, like: Sequence[Tensor] | None = None) -> list[Tensor]:
    """The L2 norm of each whole tensor, in at least fp32.

    Every rank of a mesh calls it with the same tensors in the same order.

    Args:
        tensors: Ordinary tensors or DTensors; empty pieces count as 0.
        like: Where `tensors` are local pieces: DTensors that are laid out as their wholes are.

    Returns:
        Scalars, equal on all ranks that hold pieces of a tensor.
    """
    if like is None:
        like = tensors = [_summed(tensor) for tensor in tensors]
    norms = _local_norms([local_piece(tensor) for tensor in tensors])
    sharded: dict[tuple[object, tuple[int, ...]], list[int]] = {}
    for place, tensor in enumerate(like):
        if dims := _sharding_dims(tensor):
            assert isinstance(tensor, DTensor)
            sharded.setdefault((tensor.device_mesh, dims), []).append(place)
    for (_, dims), places in sharded.items():
        squares = torch.stack([norms[place] for place in places]).square()
        held = like[places[0]]
        assert isinstance(held, DTensor)
        for dim in dims:
            dist.all_reduce(squares, group=held.device_mesh.get_group(dim))
        for place, norm in zip(places, squares.sqrt().unbind(), strict=True):
            norms[place] = norm
    return norms


def local_piece(tensor: Tensor) -> Tensor:
    """What this process holds of `tensor`: a view of it, or the tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def gradient_piece(weight: nn.Parameter) -> Tensor:
    """What this process holds of a gradient, laid out as the weight is.

    Gradients of replicated parameters may come as one addend per rank, which are added here.
    """
    slope = weight.grad
    assert slope is not None, "a parameter without a gradient"
    if isinstance(slope, DTensor) and isinstance(weight, DTensor):
        slope = slope.redistribute(weight.device_mesh, weight.placements)
    return local_piece(slope)


def _summed(tensor: Tensor) -> Tensor:
    """`tensor`, its addends on the ranks added where it is held as addends."""
    if not isinstance(tensor, DTensor) or not any(one.is_partial() for one in tensor.placements):
        return tensor
    placements = [Replicate() if one.is_partial() else one for one in tensor.placements]
    return tensor.redistribute(placements=placements)


def _sharding_dims(tensor: Tensor) -> tuple[int, ...]:
    """The dimensions of the mesh over which `tensor` is split."""
    if not isinstance(tensor, DTensor):
        return ()
    return tuple(dim for dim, one in enumerate(tensor.placements) if not one.is_replicate())


def _local_norms(pieces: Sequence[Tensor]) -> list[Tensor]:
    """The norm of each piece; those of one device and dtype in one call."""
    alike: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, piece in enumerate(pieces):
        alike.setdefault((piece.device, piece.dtype), []).append(place)
    norms: dict[int, Tensor] = {}
    for (_, dtype), places in alike.items():
        wide = torch.promote_types(dtype, torch.float32)
        found = torch._foreach_norm([pieces[place] for place in places], 2, dtype=wide)
        norms.update(zip(places, found, strict=True))
    return [norms[place] for place in range(len(pieces))]
