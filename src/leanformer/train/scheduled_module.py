"""Modules of a model that change on a schedule while it is trained: masks that close, thresholds.

The training loop calls `update(step, steps)` before the first step (also of a resumed training) and
after each step, and adds `penalty()` to the loss. A method that changes the model during training
is thus a module of the model, whichever step trains it, and checkpoints hold its buffers like any
other.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class ScheduledModule(nn.Module, ABC):
    """A module that changes as the training proceeds."""

    @abstractmethod
    def update(self, step: int, steps: int) -> None:
        """Set the state that belongs to `step` of `steps` finished optimizer steps."""

    def penalty(self) -> Tensor | None:
        """The term that it adds to the loss of a step, a scalar; None = no term."""
        return None

    def penalized(self) -> Sequence[nn.Parameter] | None:
        """The parameters that `penalty` reads: where ranks share out the weights of the model, each
        keeps all of these. None = not known; () where there is no penalty.
        """
        return () if type(self).penalty is ScheduledModule.penalty else None


def scheduled_modules(model: nn.Module) -> list[ScheduledModule]:
    """The scheduled modules of `model`."""
    return [module for module in model.modules() if isinstance(module, ScheduledModule)]


def penalties(modules: Sequence[ScheduledModule]) -> Tensor | None:
    """The sum of the penalties of `modules`, a scalar; None where there is none."""
    terms = [penalty for module in modules if (penalty := module.penalty()) is not None]
    return sum(terms[1:], terms[0]) if terms else None


def set_lr_scale(parameter: nn.Parameter, scale: float) -> None:
    """Train `parameter` at `scale` times the learning rate, without weight decay."""
    parameter.rate_factor = scale  # type: ignore[attr-defined]


def lr_scale(parameter: nn.Parameter) -> float | None:
    """The scale that `set_lr_scale` gave; None for a parameter trained like any other."""
    return getattr(parameter, "rate_factor", None)
