"""One pass over real texts with hooks: how much each head and each neuron matters.

At a layer's two points (the inputs of the modules that read the heads and the neurons, see
`models.anatomy`) two statistics are gathered over the examples of the batches:

    activation_c    root mean square of channel c over real tokens
    taylor_u        sum over examples of | sum over tokens and channels of unit u of  x_c dL/dx_c |

The second is the first-order estimate of how the loss changes when unit u is set to zero (Michel
et al. 2019, eq. 2).

Legend: B batch, T token, C channel, U unit (a head of several channels, or a neuron of one).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from leanformer.core.machine.device import device_of
from leanformer.data import Batch
from leanformer.models.anatomy import anatomy_of


@dataclass(frozen=True)
class UnitStatistics:
    """What a pass found at one point.

    Attributes:
        activation: Root mean square of each channel, [C].
        taylor: Estimated change of the loss without each unit, [U].
        outgoing: Weight that reads the channels, [O, C].
    """

    activation: Tensor
    taylor: Tensor
    outgoing: Tensor

    @property
    def width(self) -> int:
        """Channels a unit."""
        return len(self.activation) // len(self.taylor)


def gather(
    model: nn.Module, batches: Iterable[Batch], loss: Callable[[nn.Module, Batch], Tensor]
) -> tuple[list[UnitStatistics], list[UnitStatistics]]:
    """Statistics of (heads, neurons), a layer each.

    Args:
        model: A model of a known family; it is left as it was, its gradients None.
        batches: Real texts.
        loss: A scalar whose gradient tells what matters.
    """
    anatomy = anatomy_of(model)
    points: list[_Point] = []
    for layer in anatomy.layers(model):
        points.append(_Point(anatomy.head_point(layer), anatomy.head_dim(layer)))
        points.append(_Point(anatomy.ffn_point(layer), 1))
    mode = model.training
    model.eval()
    try:
        for batch in (batch.to(device_of(model)) for batch in batches):
            mask_BT = batch.inputs["attention_mask"]
            loss(model, batch).backward()
            for point in points:
                point.take(mask_BT)
            model.zero_grad(set_to_none=True)
    finally:
        for point in points:
            point.handle.remove()
        model.zero_grad(set_to_none=True)
        model.train(mode)
    found = [point.statistics() for point in points]
    return found[0::2], found[1::2]


class _Point:
    """Gathers the statistics of one module's input."""

    def __init__(self, module: Any, width: int) -> None:
        self.module, self.width = module, width
        self.squares: Tensor | float = 0.0
        self.taylor: Tensor | float = 0.0
        self.tokens = 0
        self.seen: Tensor | None = None
        self.handle = module.register_forward_pre_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        seen = inputs[0].detach().requires_grad_(True) if not inputs[0].requires_grad else inputs[0]
        seen.retain_grad()
        self.seen = seen
        return (seen, *inputs[1:])

    def take(self, mask_BT: Tensor) -> None:
        assert self.seen is not None
        assert self.seen.grad is not None
        kept_BT1 = mask_BT.unsqueeze(-1).float()
        x_BTC = self.seen.detach().reshape(*mask_BT.shape, -1).float() * kept_BT1
        change_BTC = x_BTC * self.seen.grad.reshape(*mask_BT.shape, -1).float()
        change_BU = change_BTC.sum(1).unflatten(-1, (-1, self.width)).sum(-1)
        self.squares = self.squares + x_BTC.pow(2).sum((0, 1))
        self.taylor = self.taylor + change_BU.abs().sum(0)
        self.tokens += int(mask_BT.sum())
        self.seen = None

    def statistics(self) -> UnitStatistics:
        assert isinstance(self.squares, Tensor)
        assert isinstance(self.taylor, Tensor)
        weight = self.module.weight.detach()
        outgoing = weight if isinstance(self.module, nn.Linear) else weight.T
        return UnitStatistics((self.squares / self.tokens).sqrt(), self.taylor, outgoing)
