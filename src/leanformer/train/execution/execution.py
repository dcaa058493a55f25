"""The interface of what executes a training: the loop says which batch, an execution does the step.

    forward_backward    gradients of a batch, each part divided by the counts of the whole batch
    step                refuse gradients that are not finite, clip by the global norm, one optimizer
                        step, gradients cleared
    decide              one process decides, all do the same: stop, best, time for a checkpoint
    wished              whether any process wishes it: a signal may reach one of them first
    writes              whether this process is the one that writes

The loop knows none of devices, processes, precisions and optimizers, and an execution knows
nothing of epochs, evaluations and schedules. Where several processes train one model, each sees
its shards of the data: counts are added over all of them before a sum is divided, and a norm is
that of the whole tensor, whoever holds its pieces.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from leanformer.data import Batch
from leanformer.train.loss import Carry, Counts

T = TypeVar("T")
Groups = dict[str, dict[str, Tensor]]


class Execution(ABC):
    """Executes the steps of one training.

    Attributes:
        device: Where the model is and batches go.
        writes: Whether this process writes checkpoints.
    """

    device: torch.device
    writes: bool

    @abstractmethod
    def forward_backward(self, parts: Sequence[Batch], carry: Carry) -> tuple[float, Carry]:
        """Accumulate the gradients of a batch.

        Args:
            parts: Its microbatches, as `Batches.at` gives them in every process; a process computes
                its own rows of each.
            carry: What the step before handed on.

        Returns:
            The loss of the whole batch, and the carry for the next step.
        """

    @abstractmethod
    def total(self, counts: Counts) -> Counts:
        """The units of the whole batch, from those that this process counted."""

    @abstractmethod
    def norms(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The L2 norm of each whole tensor, of which this process may hold a piece: what gradients
        are clipped by, and what optimizers with trust ratios need.
        """

    @abstractmethod
    def step(self, factor: float) -> bool:
        """Clip the gradients, do an optimizer step at `factor` times the peak learning rates, and
        clear the gradients.

        Returns:
            Whether the weights moved: in fp16 a step whose gradients overflowed is left out.

        Raises:
            NotFinite: The global norm of the gradients is not finite, or they overflow fp16 at any
                scale of the loss. No weight was changed.
        """

    @abstractmethod
    def require_finite(self) -> None:
        """Refuse trained weights that are not finite.

        Raises:
            NotFinite: Some are not; the message names them.
        """

    @abstractmethod
    def decide(self, value: T) -> T:
        """What the process that decides found, in every process."""

    def require_alike(self, what: dict[str, Any]) -> None:  # noqa: B027
        """Refuse a training of which processes know different things; one process knows one.

        Args:
            what: What must be the same in each process, by what it is called; JSON values.

        Raises:
            ValueError: Processes differ; the message names in what.
        """

    def moving(self) -> AbstractContextManager[None]:
        """Within it, modules that change on a schedule see whole weights, and what they change in
        them stays.
        """
        return nullcontext()

    @abstractmethod
    def wished(self, wish: bool) -> bool:
        """Whether any process wishes it, in every process."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """A copy of the whole model's parameters and buffers, by name."""

    @abstractmethod
    def close(self) -> None:
        """Leave the model whole and as it was found, but for its weights; in every process."""

    @abstractmethod
    def write(self, folder: Path, groups: Groups, state: dict[str, Any]) -> None:
        """Write a checkpoint, in every process: `groups` as `state` gives them, and plain values.

        The former one is replaced at once.
        """

    @abstractmethod
    def read(self, folder: Path) -> tuple[Groups, dict[str, Any]] | None:
        """What `write` wrote, by however many processes; None where there is none.

        Raises:
            ValueError: The checkpoint is broken; the message names the file.
        """

    @abstractmethod
    def state(self) -> tuple[Groups, dict[str, Any]]:
        """What a checkpoint must hold to go on: tensors in groups, and plain JSON values.

        Weights of the model and of the loss, moments, random generators, the scale of fp16.
        """

    @abstractmethod
    def restore(self, groups: Groups, values: dict[str, Any], folder: Path) -> None:
        """Go on from what `state` gave; `folder` is where it was read, for messages.

        Raises:
            ValueError: A tensor is missing, unknown, or of another shape or type.
        """
