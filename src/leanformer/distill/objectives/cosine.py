"""Cosine: the student's vector points where the teacher's does.

    L = mean (1 - cos(v_s, v_t))

For sentence embeddings, where length is normalized away and only direction is compared at search
time.

Legend: B batch, D width.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.ranges import NotNegative
from leanformer.core.technique import technique
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.numerics.widen import widened


def cosine_distance(student_BD: Tensor, teacher_BD: Tensor) -> Tensor:
    """One minus the cosine, averaged over the batch; 0 = same direction, 2 = opposite."""
    return (1 - F.cosine_similarity(widened(student_BD), widened(teacher_BD), dim=-1)).mean()


@technique("cosine", paper="Sanh et al. 2019 (DistilBERT), arXiv:1910.01108")
class Cosine(Objective):
    """Match the direction of the output vector: for sentence embeddings."""

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters."""
        return _Cosine()


class _Cosine(nn.Module):
    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        return cosine_distance(student.logits, teacher.logits)
