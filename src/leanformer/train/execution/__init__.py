"""Who executes the steps of a training: one device, or ranks that share each batch."""

from torch import nn

from leanformer.train.execution.data_parallel import DataParallel
from leanformer.train.execution.execution import Execution
from leanformer.train.execution.one_device import OneDevice
from leanformer.train.loss import Loss
from leanformer.train.ranks import count_ranks
from leanformer.train.setup import TrainSetup

__all__ = ["DataParallel", "Execution", "OneDevice", "make_execution"]


def make_execution(model: nn.Module, loss: Loss, setup: TrainSetup) -> Execution:
    """What executes a training here: all processes that `torchrun` started, or this one alone.

    Raises:
        ValueError: The plan of `setup.parallel` is for another number of processes.
    """
    if count_ranks() > 1:
        return DataParallel(model, loss, setup)
    setup.parallel.fitted(1)
    return OneDevice(model, loss, setup)
