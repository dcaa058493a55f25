"""Vectors: the student's vector is the teacher's, in direction and in length.

    L = mean_B ||v_s - v_t||^2 / ||v_t||^2

For sentence embeddings that are not normalized, whose lengths count in a dot product. The error is
relative to each vector's own length, so that texts with long vectors weigh no more. For vectors of
length one it is twice the cosine distance, 2 (1 - cos).

Legend: B batch, D width.
"""

from torch import Tensor, nn

from leanformer.core.ranges import NotNegative
from leanformer.core.technique import technique
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.numerics.widen import widened

_LEAST = 1e-12  # squared length below which a vector has no direction


def vector_error(student_BD: Tensor, teacher_BD: Tensor) -> Tensor:
    """Squared distance over the squared length of the teacher's vector, averaged over the batch."""
    ours_BD, theirs_BD = widened(student_BD), widened(teacher_BD)
    squares_B = theirs_BD.square().sum(-1).clamp(min=_LEAST)
    return ((ours_BD - theirs_BD).square().sum(-1) / squares_B).mean()


@technique("vectors", paper="Reimers & Gurevych 2020, arXiv:2004.09813")
class Vectors(Objective):
    """Match the output vector with its length: for sentence embeddings without normalization."""

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters."""
        return _Vectors()


class _Vectors(nn.Module):
    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        return vector_error(student.logits, teacher.logits)
