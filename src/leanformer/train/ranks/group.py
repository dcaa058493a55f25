"""The ranks of a training: processes that `torchrun` started, each with a device of its own.

    shard        ranks that share out weights, gradients or the optimizer's state
    replicate    groups of such ranks, each with a whole copy (hybrid sharding)

All of them see the batch of the whole step and draw the same chance for it; a rank computes some of
its rows. So neither the order of the data nor hidden tokens depend on the number of ranks.
"""

import functools
import os
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.rendezvous import rendezvous

from leanformer.train.parallel import Parallel

T = TypeVar("T")
_AXES = ("replicate", "shard")


def count_ranks() -> int:
    """How many processes train together; 1 where `torchrun` started none."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return int(os.environ.get("WORLD_SIZE", "1"))


def join_ranks() -> None:
    """Meet the other processes, unless that was done or there are none; CUDA's current device
    becomes the rank's own.

    Workers that `torchrun` starts again after a failure meet under another name than before: what
    dead ones left in the store would send them to sockets that are closed.
    """
    if count_ranks() == 1 or dist.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    store, rank, count = next(rendezvous("env://"))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    named = PrefixStore(f"leanformer-{attempt}", store)
    dist.init_process_group(backend, store=named, rank=rank, world_size=count)


class Ranks:
    """The ranks that share one training.

    Args:
        plan: How they share it; all processes that were started take part.
        device: The device of this one.

    Raises:
        ValueError: The plan is for another number of processes.

    Attributes:
        plan: The plan for this number of processes.
        rank: The number of this one, from 0.
        count: How many there are.
        mesh: Their grid, with the axes "replicate" and "shard".
    """

    def __init__(self, plan: Parallel, device: torch.device) -> None:
        self.plan = plan.fitted(count_ranks())
        join_ranks()
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        shape = (self.plan.replicate, self.count // self.plan.replicate)
        self.mesh = _mesh(dist.group.WORLD, device.type, shape)

    def decide(self, value: T) -> T:
        """What rank 0 found, in every rank."""
        found = [value]
        dist.broadcast_object_list(found, src=0)
        return found[0]

    def gather(self, value: T) -> list[T]:
        """What every rank found, in every rank."""
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, value)
        return found

    def take_over(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by that of rank 0."""
        for tensor in tensors:
            dist.broadcast(tensor.detach(), src=0)

    def add(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over all ranks; those of one type travel together."""
        kinds = {(tensor.dtype, tensor.device) for tensor in tensors}
        for kind in sorted(kinds, key=str):
            alike = [tensor for tensor in tensors if (tensor.dtype, tensor.device) == kind]
            flat = torch.cat([tensor.flatten() for tensor in alike])
            dist.all_reduce(flat)
            pieces = flat.split([tensor.numel() for tensor in alike])
            for tensor, piece in zip(alike, pieces, strict=True):
                tensor.copy_(piece.view_as(tensor))


@functools.cache
def _mesh(world: Any, device: str, shape: tuple[int, int]) -> DeviceMesh:
    """The grid of the ranks of `world`, for all of their trainings: each new one would open
    connections that nobody closes.
    """
    return init_device_mesh(device, shape, mesh_dim_names=_AXES)
