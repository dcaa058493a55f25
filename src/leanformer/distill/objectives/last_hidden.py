"""Last hidden states: each token ends up in the direction in which the teacher has it.

    L = mean_tokens (1 - cos(h^s_M, h^t_N))

The third part of DistilBERT's loss. Padding has no share in the mean; there is no projection, so
student and teacher are of one width.

Legend: M and N last level of student and teacher.
"""

from torch import Tensor, nn

from leanformer.core.ranges import NotNegative
from leanformer.core.technique import technique
from leanformer.distill.comparisons.projection import check_width
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.distill.objectives.cosine import cosine_distance


@technique("last-hidden", paper="Sanh et al. 2019 (DistilBERT), arXiv:1910.01108")
class LastHidden(Objective):
    """Match the direction of each token at the top: beside soft targets, as in DistilBERT."""

    unit = "token"
    needs_hidden = True

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters.

        Raises:
            ValueError: The widths differ.
        """
        check_width(student, teacher, "last-hidden", "direction")
        return _LastHidden()


class _LastHidden(nn.Module):
    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        ours, theirs = student.hidden[-1], teacher.hidden[-1]
        return cosine_distance(ours[student.keep], theirs[teacher.keep])
