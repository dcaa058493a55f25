"""The interface of distillation: what a student is compared with, and in what.

An objective is a frozen description. Its `build` makes the module that compares, because some
comparisons hold parameters (a projection from the student's width to the teacher's); the module is
a plain function of tensors and fits any loop.

Legend: B batch, T token, D hidden width, L layer, C class.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from leanformer.train.loss import Unit


@dataclass(frozen=True)
class Dims:
    """What must be known of a model to compare with it.

    Attributes:
        layers: Number of layers.
        hidden: Width of hidden states.
    """

    layers: int
    hidden: int


@dataclass(frozen=True)
class Outputs:
    """What a model says about a batch.

    Attributes:
        logits: [B, C], or [B, T, C] for tokens; for embedding [B, D], normalised.
        hidden: Hidden states [B, T, D]: the embedding output, then one a layer; () where nobody
            asked.
        keep: [B, T] True at real tokens.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...]
    keep: Tensor


class Objective(ABC):
    """Compares a student with its teacher.

    Attributes:
        unit: What the mean of `build`'s module is over; "example" stands for an output of the
            head, of which a tokens task has one at each real token.
        needs_hidden: Whether hidden states are compared.
        weight: Factor in the sum of objectives.
    """

    family: ClassVar[str] = "objective"
    unit: ClassVar[Unit] = "example"
    needs_hidden: ClassVar[bool] = False
    weight: float

    @abstractmethod
    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """The module `(Outputs, Outputs, labels) -> mean loss` for models of these sizes."""


def dims_of(model: Any) -> Dims:
    """The sizes of a transformers model."""
    return Dims(layers=model.config.num_hidden_layers, hidden=model.config.hidden_size)
