"""The interface of memory savers: ways to train in less memory, most of them for some more time.

    apply        within it, steps of this model and this loss keep less in memory
    optimizer    what does the optimizer's step, with its state elsewhere

Savers compose: a training has a tuple of them and applies them in that order, before the model is
shared out among ranks. None changes the names of parameters, since checkpoints know them by name,
nor the gradients, but for rounding where a saver says so.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import ClassVar

import torch
from torch import nn

from leanformer.train.loss import Loss


class MemorySaver(ABC):
    """Trains in less memory."""

    family: ClassVar[str] = "memory-saver"

    @abstractmethod
    def apply(self, model: nn.Module, loss: Loss) -> AbstractContextManager[None]:
        """Within it, a training step keeps less in memory; afterwards all is as it was before.

        Raises:
            ValueError: The model or the loss cannot be trained so; nothing was changed.
        """

    def optimizer(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """What does the steps of `optimizer`; itself, where a saver leaves it alone."""
        return optimizer
