"""What a module that looks at the rows of a batch must see of the rows of all ranks.

    added(x)        the sum over ranks: gradients, counts, sums of tokens
    largest(x)      the largest over ranks: ranges of activations

A fake-quantizer's running range, a statistic of gradients or centroids that follow the tokens would
be other numbers on each rank, since each sees its own rows. While ranks share the rows of a
microbatch, these functions join what they saw; everywhere else they return what they are given.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch.distributed as dist
from torch import Tensor


@dataclass
class _Sharing:
    now: bool = False
    counted: float = 1.0


_sharing = _Sharing()


@contextmanager
def sharing_rows(counted: float) -> Iterator[None]:
    """Within it each rank sees some rows of a microbatch.

    Args:
        counted: 1, or 0 where there is no row left for this rank and it computes one that another
            rank counts.
    """
    _sharing.now, _sharing.counted = True, counted
    try:
        yield
    finally:
        _sharing.now = False


def added(tensor: Tensor) -> Tensor:
    """The sum of `tensor` over the ranks that share a microbatch."""
    if not _sharing.now:
        return tensor
    found = tensor.detach() * _sharing.counted
    dist.all_reduce(found)
    return found


def largest(tensor: Tensor) -> Tensor:
    """The largest of `tensor` over the ranks that share a microbatch, element by element."""
    if not _sharing.now:
        return tensor
    found = tensor.detach().clone()
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return found
