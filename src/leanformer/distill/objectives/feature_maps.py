"""Feature maps: match each layer's outputs in direction, mean and variance.

    L = mean_{layers, tokens}  100 mean_D (n(h^s) - n(h^t))^2
                             + 5000 (mu(h^s) - mu(h^t))^2 + 5 |var(h^s) - var(h^t)|

n is LayerNorm without parameters; mu, var and n are taken over the width of each token, var without
Bessel's correction. MobileBERT is trained one layer at a time (`layers`) before all of it. Its code
takes mean and variance of the teacher's list of all layers where those of one are meant; here each
layer has its own. There is no projection: student and teacher are of one width.

Legend: B batch, T token, N real token, D hidden width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.ranges import NotNegative
from leanformer.core.technique import technique
from leanformer.distill.comparisons.layerwise import Layerwise
from leanformer.distill.comparisons.projection import check_width
from leanformer.distill.objective import Dims, Outputs
from leanformer.numerics.widen import widened

_EPS = 1e-12  # as in MobileBERT's code


def feature_error(
    student_BTD: Tensor,
    teacher_BTD: Tensor,
    keep_BT: Tensor,
    form: float = 100.0,
    mean: float = 5000.0,
    variance: float = 5.0,
) -> Tensor:
    """The three differences, each averaged over real tokens, weighed and added.

    Args:
        student_BTD: Hidden state of a layer of the student.
        teacher_BTD: That of the teacher.
        keep_BT: True at real tokens.
        form: Factor of the difference that LayerNorm leaves.
        mean: Factor of the difference of means.
        variance: Factor of the difference of variances.
    """
    ours_ND, theirs_ND = widened(student_BTD)[keep_BT], widened(teacher_BTD)[keep_BT]
    width = ours_ND.shape[-1:]
    forms = F.mse_loss(
        F.layer_norm(ours_ND, width, eps=_EPS), F.layer_norm(theirs_ND, width, eps=_EPS)
    )
    means = F.mse_loss(ours_ND.mean(-1), theirs_ND.mean(-1))
    variances = F.l1_loss(ours_ND.var(-1, correction=0), theirs_ND.var(-1, correction=0))
    return form * forms + mean * means + variance * variances


@technique("feature-maps", paper="Sun et al. 2020 (MobileBERT), arXiv:2004.02984")
class FeatureMaps(Layerwise):
    """Match hidden states and their statistics: MobileBERT's transfer between equal widths."""

    unit = "token"
    needs_hidden = True

    form: NotNegative = 100.0
    """Factor of the difference that LayerNorm leaves."""
    mean: NotNegative = 5000.0
    """Factor of the difference of means."""
    variance: NotNegative = 5.0
    """Factor of the difference of variances."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters.

        Raises:
            ValueError: The widths differ, or the layers do not fit the depths.
        """
        check_width(student, teacher, "feature-maps", "map")
        pairs = self.pairs(student, teacher)
        return _FeatureMaps(pairs, (self.form, self.mean, self.variance))


class _FeatureMaps(nn.Module):
    def __init__(self, pairs: list[tuple[int, int]], factors: tuple[float, float, float]) -> None:
        super().__init__()
        self.pairs, self.factors = pairs, factors

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        errors = [  # level l + 1 is what layer l says
            feature_error(student.hidden[m + 1], teacher.hidden[n + 1], student.keep, *self.factors)
            for m, n in self.pairs
        ]
        return torch.stack(errors).mean()
