"""Hidden states: each student layer learns the teacher's hidden state at the same relative depth.

    L = 1/(M+1) sum_m  mean_{tokens, D} ( W h^s_m - h^t_g(m) )^2        g(m) = round(m N / M)

M student and N teacher layers; level 0 is the embedding output. W is used only if the
widths differ; one W serves all levels, as in TinyBERT's code. Padding is ignored.

Legend: B batch, T token, D hidden width.
"""

import torch
from torch import Tensor, nn

from leanformer.core.ranges import Index, NotNegative
from leanformer.core.technique import technique
from leanformer.distill.comparisons.layer_map import level_map
from leanformer.distill.comparisons.projection import projection
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.numerics.widen import widened


def hidden_error(student_BTD: Tensor, teacher_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """Squared difference, averaged over real tokens and over the width."""
    difference = widened(student_BTD) - widened(teacher_BTD)
    return difference[keep_BT].pow(2).mean()


@technique("hidden-states", paper="Jiao et al. 2020 (TinyBERT), arXiv:1909.10351")
class HiddenStates(Objective):
    """Match hidden states layer by layer: the strongest help for a student of few examples."""

    unit = "token"
    needs_hidden = True

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""
    levels: tuple[Index, ...] | None = None
    """Teacher level for each student level 0..M; None = evenly spread."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module with one projection where the widths differ.

        Raises:
            ValueError: `levels` does not fit the two depths.
        """
        levels = level_map(self.levels, student.layers, teacher.layers)
        return _HiddenStates(levels, student, teacher)


class _HiddenStates(nn.Module):
    def __init__(self, levels: list[int], student: Dims, teacher: Dims) -> None:
        super().__init__()
        self.levels = levels
        self.project = projection(student, teacher)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        errors = [
            hidden_error(self.project(ours), teacher.hidden[level], student.keep)
            for ours, level in zip(student.hidden, self.levels, strict=True)
        ]
        return torch.stack(errors).mean()
