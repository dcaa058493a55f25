"""The optimizer's state in the host's memory: 8 bytes less per weight on the device with Adam.

    down     4 bytes per weight: gradients            up     4 bytes per weight: weights

The step is done by the CPU, by the same optimizer, fused where it has such a step. A training of
large batches hardly notices it; where steps follow each other fast, the bus and the CPU decide.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from leanformer.core.machine.device import device_of
from leanformer.core.technique import technique
from leanformer.train.loss import Loss
from leanformer.train.memory.host_optimizer import HostOptimizer
from leanformer.train.memory.interface import MemorySaver


@technique(
    "offload-optimizer",
    paper="Ren et al. 2021 (ZeRO-Offload), arXiv:2101.06840",
)
class OffloadOptimizer(MemorySaver):
    """Hold the optimizer's state in the host's memory and do its steps on the CPU."""

    @contextmanager
    def apply(self, model: nn.Module, loss: Loss) -> Iterator[None]:
        """See `MemorySaver.apply`.

        Raises:
            ValueError: The model is in the host's memory already.
        """
        if device_of(model).type == "cpu":
            raise ValueError(
                "offload-optimizer: the model is on the CPU, and so is its optimizer; leave this "
                "saver out of memory"
            )
        yield

    def optimizer(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Does the steps of `optimizer` in the host's memory; its state must still be empty.

        Raises:
            ValueError: Its parameters are shared out among ranks.
        """
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if any(hasattr(parameter, "placements") for parameter in parameters):
            raise ValueError(
                "offload-optimizer: the weights are shared out among ranks, and so is their "
                "optimizer's state already; set parallel.zero = 0, or leave this saver out of "
                "memory"
            )
        devices = {parameter.device for parameter in parameters}  # those of swapped layers: the CPU
        there = next((one for one in devices if one.type != "cpu"), torch.device("cpu"))
        return HostOptimizer(optimizer, there)
