"""The interface of distillation: what a student is compared with, and in what.

An objective is a frozen description. Its `build` makes the module that compares, because some
comparisons hold parameters (a projection from the student's width to the teacher's); the module is
a plain function of tensors and fits any loop.

Legend: B batch, T token, D hidden width, C class.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from leanformer.core.step import Sketch
from leanformer.models.attention.inputs import AttentionInputs
from leanformer.train.loss import Unit


@dataclass(frozen=True)
class Dims:
    """What must be known of a model to compare with it.

    Attributes:
        layers: Number of layers.
        hidden: Width of hidden states.
        heads: Attention heads of each layer.
        kind: Name of the task, which says how its outputs are compared; "" = of classes or numbers,
            as the labels are.
    """

    layers: int
    hidden: int
    heads: tuple[int, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class Outputs:
    """What a model says about a batch.

    Attributes:
        logits: [B, C], or [B, T, C] for tokens; for embedding the pooled vectors [B, D].
        hidden: Hidden states [B, T, D]: the embedding output, then one a layer; () where nobody
            asked.
        keep: [B, T] True at real tokens.
        attention: What the attention of each layer was given; () where nobody asked.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...]
    keep: Tensor
    attention: tuple[AttentionInputs, ...] = ()


class Objective(ABC):
    """Compares a student with its teacher.

    Attributes:
        needs_hidden: Whether hidden states are compared.
        needs_attention: Whether what attention is given is compared.
        additive: Whether the mean over a batch is that over its parts, each weighed by its units;
            not so where the texts of a batch are compared with each other.
        weight: Factor in the sum of objectives.
    """

    family: ClassVar[str] = "objective"
    needs_hidden: ClassVar[bool] = False
    needs_attention: ClassVar[bool] = False
    additive: ClassVar[bool] = True
    weight: float

    @property
    def unit(self) -> Unit | Literal["output"]:
        """What the mean of `build`'s module is over; "output" stands for the outputs of the head:
        one an example, or one a real token where the task is about tokens.
        """
        return "output"

    @abstractmethod
    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """The module `(Outputs, Outputs, labels) -> mean loss` for models of these sizes."""


def check_objectives(objectives: Sequence[Objective], sketch: Sketch) -> None:
    """Refuse objectives that compare layers which one of two known models does not have.

    Raises:
        ValueError: There is one; the message names its place in the list.
    """
    if sketch.model is None or sketch.teacher is None:
        return
    student, teacher = dims_of(sketch.model), dims_of(sketch.teacher)
    for index, objective in enumerate(objectives):
        try:
            objective.build(student, teacher)
        except ValueError as error:
            raise ValueError(f"objectives[{index}].{error}") from error


def dims_of(model: Any, kind: str = "") -> Dims:
    """The sizes of a transformers model for the task `kind`."""
    config = model.config
    cut = getattr(config, "lean", None)
    heads = cut["heads"] if cut else [config.num_attention_heads] * config.num_hidden_layers
    return Dims(
        layers=config.num_hidden_layers, hidden=config.hidden_size, heads=tuple(heads), kind=kind
    )
