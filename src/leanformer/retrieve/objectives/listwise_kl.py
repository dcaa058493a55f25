"""Listwise KL: over an anchor's texts, the student has the distribution that a cross-encoder has.

    L = KL( softmax(t / T) || softmax(s / T) )

s is the dot product of vectors times `scale`, t the teacher's score; the list is the positive and
the negatives.

Legend: B tuple, K text of the list; T temperature.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.ranges import Positive
from leanformer.core.technique import technique
from leanformer.retrieve.objectives.interface import Columns, VectorObjective


def listwise_kl(
    student_BK: Tensor, teacher_BK: Tensor, there_BK: Tensor, temperature: float = 1.0
) -> Tensor:
    """The divergence of the lists, summed over tuples, in nats.

    Args:
        student_BK: The student's scores.
        teacher_BK: The teacher's scores of the same texts.
        there_BK: True where there is a text.
        temperature: Divides both.
    """
    least = torch.finfo(student_BK.dtype).min
    ours_BK, theirs_BK = (
        F.log_softmax((scores_BK / temperature).masked_fill(~there_BK, least), dim=-1)
        for scores_BK in (student_BK, teacher_BK)
    )
    gone_BK = theirs_BK.exp() * (theirs_BK - ours_BK)
    return gone_BK.masked_fill(~there_BK, 0.0).sum()


@technique("listwise-kl", paper="Lin et al. 2020, arXiv:2010.11386")
class ListwiseKl(VectorObjective):
    """Learn a cross-encoder's distribution over an anchor's texts: distillation for search."""

    targets = "teacher"
    needs_negatives = True

    temperature: Positive = 1.0
    """Divides the scores of both; higher shows more of the order of unlikely texts."""
    scale: Positive = 1.0
    """Factor of the student's dot products, which are at most 1 where vectors have length one."""

    def build(self, width: int, classes: int) -> nn.Module:
        """A module without parameters."""
        return _ListwiseKl(self.scale, self.temperature)


class _ListwiseKl(nn.Module):
    def __init__(self, scale: float, temperature: float) -> None:
        super().__init__()
        self.scale, self.temperature = scale, temperature

    def forward(self, columns: Columns) -> Tensor:
        assert columns.targets is not None, "a teacher has scored the texts"
        scores_BK = self.scale * (columns.anchors_BD[:, None] * columns.others_BKD).sum(-1)
        return listwise_kl(scores_BK, columns.targets, columns.there_BK, self.temperature)
