"""Embeddings: match the input of the first layer.

    L = mean_{tokens, D} ( W e^s + b - e^t )^2

e is level 0 of the hidden states: words, positions and types, summed and normalized. W and b
are used only if the widths differ; they serve this level alone, as in the paper (`hidden-states`
has one W for all levels, as in TinyBERT's code). Padding is ignored.

Legend: D hidden width.
"""

from torch import Tensor, nn

from leanformer.core.ranges import NotNegative
from leanformer.core.technique import technique
from leanformer.distill.comparisons.projection import projection
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.distill.objectives.hidden_states import hidden_error


@technique("embeddings", paper="Jiao et al. 2020 (TinyBERT), arXiv:1909.10351")
class Embeddings(Objective):
    """Match the embedding output alone: for a student whose embeddings begin at random."""

    unit = "token"
    needs_hidden = True

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module with one projection where the widths differ."""
        return _Embeddings(student, teacher)


class _Embeddings(nn.Module):
    def __init__(self, student: Dims, teacher: Dims) -> None:
        super().__init__()
        self.project = projection(student, teacher)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        return hidden_error(self.project(student.hidden[0]), teacher.hidden[0], student.keep)
