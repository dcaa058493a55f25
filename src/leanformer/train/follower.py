"""Parts of a model that move with its training: thresholds that rise, masks that close.

The one loop calls `follow` before the first step (also of a resumed training) and after each, and
adds `penalty` to the loss. So a method that changes the model while it learns is a module in it,
whoever trains: its buffers are in the checkpoints like any others.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class Follower(nn.Module, ABC):
    """A module that changes as the training goes on."""

    @abstractmethod
    def follow(self, step: int, steps: int) -> None:
        """Be as it should be when `step` of `steps` optimizer steps are done."""

    def penalty(self) -> Tensor | None:
        """What is added to the loss of a step; None = nothing."""
        return None


def followers(model: nn.Module) -> list[Follower]:
    """The parts of `model` that follow its training."""
    return [module for module in model.modules() if isinstance(module, Follower)]


def penalties(parts: Sequence[Follower]) -> Tensor | None:
    """The sum of what they ask for, a scalar; None where nobody does."""
    asked = [penalty for part in parts if (penalty := part.penalty()) is not None]
    return sum(asked[1:], asked[0]) if asked else None


def own_rate(parameter: nn.Parameter, factor: float) -> None:
    """Train `parameter` at so many times the rate of the others, without weight decay."""
    parameter.rate_factor = factor  # type: ignore[attr-defined]


def rate_of(parameter: nn.Parameter) -> float | None:
    """The factor that `own_rate` gave; None where the parameter is like any other."""
    return getattr(parameter, "rate_factor", None)
