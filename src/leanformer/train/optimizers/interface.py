"""The interface of optimizers: how gradients move the weights; and the groups that they move.

An optimizer is a frozen description with a peak learning rate and a weight decay of its own, since
what suits one does not suit another. Which parameters decay is the same for all of them:

    decays     matrices alone; embeddings, biases and norms do not, and neither does what is trained
               at a rate of its own
    rate       times the learning rate: 1, or what `set_lr_scale` asked for

What torch ships computes a step in one of three ways, with equal results: `fused` reads and writes
each number once, `foreach` does each operation for all parameters at once, `for-loop` for one
parameter after the other.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from leanformer.core.ranges import NotNegative, Positive
from leanformer.core.shown import shown
from leanformer.train.optimizers.batch_scaling import Rule
from leanformer.train.scheduled_module import lr_scale

Implementation = Literal["fused", "foreach", "for-loop"]
"""How torch computes a step."""


@dataclass(frozen=True)
class Group:
    """Parameters that are treated alike.

    Attributes:
        parameters: Which, each with its name: checkpoints know them by it.
        decays: Whether they have weight decay.
        rate: Their learning rate, in terms of the optimizer's.
    """

    parameters: list[tuple[str, nn.Parameter]]
    decays: bool
    rate: float = 1.0


class Optimizer(ABC):
    """Moves the weights.

    Attributes:
        learning_rate: Peak learning rate; the schedule multiplies it by a factor up to 1.
        weight_decay: Decay of the groups that decay.
        batch_scaling: How the learning rate follows the batch size, where `base_batch_size` is
            set: linear where steps grow with the gradient, square root where they do not.
    """

    family: ClassVar[str] = "optimizer"
    batch_scaling: ClassVar[Rule] = "square-root"
    learning_rate: Positive
    weight_decay: NotNegative

    @abstractmethod
    def build(self, groups: Sequence[Group]) -> torch.optim.Optimizer:
        """The torch optimizer of these groups, in their order, each at its peak rate."""

    def settings(self, groups: Sequence[Group]) -> list[dict[str, Any]]:
        """The groups as torch's optimizers take them, with `lr` and `weight_decay`."""
        return [
            {
                "params": group.parameters,
                "lr": self.learning_rate * group.rate,
                "weight_decay": self.weight_decay if group.decays else 0.0,
            }
            for group in groups
        ]


def torch_flags(implementation: Implementation) -> dict[str, bool]:
    """The arguments by which torch's optimizers are told how to compute a step.

    Raises:
        ValueError: There is no such implementation.
    """
    known = get_args(Implementation)
    if implementation not in known:
        raise ValueError(
            f"implementation: {shown(implementation)} is not one of {', '.join(known)}"
        )
    return {"fused": implementation == "fused", "foreach": implementation == "foreach"}


def grouped(modules: Sequence[nn.Module]) -> list[Group]:
    """All parameters of `modules` that have gradients, in groups.

    Args:
        modules: The model and the loss.
    """
    # an embedding that rounds is one too, and is told by its rows as nn.Embedding is
    embeddings = {
        id(sub.weight) for m in modules for sub in m.modules() if hasattr(sub, "num_embeddings")
    }
    named = [
        (f"{place}.{name}", parameter)
        for place, module in enumerate(modules)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    ]
    # torch moves parts of weights and whole ones apart, where ranks share out most of them
    found: dict[tuple[bool, float, bool], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in named:
        own = lr_scale(parameter)
        decays = parameter.dim() >= 2 and id(parameter) not in embeddings and own is None
        rate, part = 1.0 if own is None else own, isinstance(parameter, DTensor)
        found.setdefault((decays, rate, part), []).append((name, parameter))
    ordered = sorted(found.items(), key=lambda item: (not item[0][0], item[0][1]))
    return [Group(parameters, decays, rate) for (decays, rate, _), parameters in ordered]
