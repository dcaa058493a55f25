"""MarginMSE: the distance between positive and negative is the one that a cross-encoder sees.

    L = ( (s(a, p) - s(a, n)) - (t(a, p) - t(a, n)) )^2

s is the dot product of vectors, t the teacher's score. Only differences count, so that a student
need not have the teacher's scale of scores; where its vectors have length one, `scale` brings their
products, which lie between -1 and 1, to the spread of the teacher's logits.

Legend: B tuple, K negative.
"""

from torch import Tensor, nn

from leanformer.core.ranges import Positive
from leanformer.core.technique import technique
from leanformer.retrieve.objectives.interface import Columns, VectorObjective


def margin_mse(student_BK: Tensor, teacher_BK: Tensor, there_BK: Tensor) -> Tensor:
    """Squared error of the margins: the mean over a tuple's negatives, summed over tuples.

    Args:
        student_BK: The student's scores, the positive's first.
        teacher_BK: The teacher's scores of the same texts.
        there_BK: True where there is a text.
    """
    ours_BK = student_BK[:, :1] - student_BK[:, 1:]
    theirs_BK = teacher_BK[:, :1] - teacher_BK[:, 1:]
    there_BK = there_BK[:, 1:]
    errors_BK = (ours_BK - theirs_BK).square().masked_fill(~there_BK, 0.0)
    return (errors_BK.sum(-1) / there_BK.sum(-1).clamp(min=1)).sum()


@technique("margin-mse", paper="Hofstaetter et al. 2020, arXiv:2010.02666")
class MarginMse(VectorObjective):
    """Learn a cross-encoder's margins between positives and negatives: distillation for search."""

    targets = "teacher"
    needs_negatives = True

    scale: Positive = 1.0
    """Factor of the dot products."""

    def build(self, width: int, classes: int) -> nn.Module:
        """A module without parameters."""
        return _MarginMse(self.scale)


class _MarginMse(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, columns: Columns) -> Tensor:
        assert columns.targets is not None, "a teacher has scored the texts"
        scores_BK = self.scale * (columns.anchors_BD[:, None] * columns.others_BKD).sum(-1)
        return margin_mse(scores_BK, columns.targets, columns.there_BK)
