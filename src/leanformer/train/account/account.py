"""The account of a training step's memory, in bytes of one rank's device.

weights        parameters and buffers
gradients      one for each trained parameter
optimizer      its state: two moments for Adam
activations    what the forward pass keeps for the backward pass, and its outputs
temporary      the peak, less all of these: gradients of activations, buffers of kernels; 0
               where the others are never all there at once
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

from torch import nn

from leanformer.data import Batch
from leanformer.train.attention import short_attention
from leanformer.train.loss import Loss
from leanformer.train.memory.chunked_cross_entropy import ChunkedCrossEntropy
from leanformer.train.setup import TrainSetup

_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Account:
    """Bytes of one rank's device in a training step."""

    weights: int
    """Parameters and buffers."""
    gradients: int
    """Gradients of the trained parameters."""
    optimizer: int
    """State of the optimizer."""
    activations: int
    """What is kept between the forward and the backward pass of one microbatch."""
    temporary: int = 0
    """What the peak has beyond these; 0 where it was not measured."""

    @property
    def total(self) -> int:
        """All of it, in bytes."""
        return sum(asdict(self).values())

    def __str__(self) -> str:
        lines = [f"{name:12} {size / _MIB:10.1f} MiB" for name, size in asdict(self).items()]
        return "\n".join([*lines, f"{'total':12} {self.total / _MIB:10.1f} MiB"])


@contextmanager
def as_trained(
    model: nn.Module, loss: Loss, batch: Batch, setup: TrainSetup, targets: int | None = None
) -> Iterator[None]:
    """Within it, a step is as `fit` does it: attention for short texts, and the savers.

    Args:
        model: What is trained.
        loss: What is minimized.
        batch: A microbatch.
        setup: How to train.
        targets: Known targets of the batch, where its tensors have no elements.
    """
    longest = next(iter(batch.inputs.values())).shape[-1]
    with short_attention(model, longest), ExitStack() as saving:
        for saver in setup.memory:
            if targets is not None and isinstance(saver, ChunkedCrossEntropy):
                saving.enter_context(saver.sketch(model, loss, targets))
            else:
                saving.enter_context(saver.apply(model, loss))
        yield
