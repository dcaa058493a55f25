"""Relations: which tokens resemble each other in the student is what resembles in the teacher.

    L = 1/3 sum_{x in q,k,v}  mean_{heads, tokens} KL( R^t_x || R^s_x )
    R_x = softmax( x x^T / sqrt(d_r) )

The heads of queries, keys and values are joined and cut anew into R relation heads, d_r wide in
each model: so neither widths nor heads of the two need be equal, and no projection is learned. One
pair of layers is compared, the student's last with one of the teacher's. Every real token is
related to every real one, in a decoder too.

Legend: B batch, J head, T token, K head width, R relation head.
"""

import torch
from torch import Tensor, nn

from leanformer.core.ranges import Count, Index, NotNegative
from leanformer.core.technique import technique
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.distill.objectives.attention_maps import map_divergence
from leanformer.numerics.widen import widened


def relation_scores(values_BJTK: Tensor, relation_heads: int) -> Tensor:
    """Scaled products of every two tokens, [B, R, T, T].

    Raises:
        ValueError: The heads together cannot be cut into as many relation heads.
    """
    joined_BTW = widened(values_BJTK).transpose(1, 2).flatten(2)
    width = joined_BTW.shape[-1]
    if width % relation_heads:
        raise ValueError(
            f"relation_heads: heads of {width} numbers in all cannot be cut into {relation_heads}; "
            "use a number that divides the widths of student and teacher"
        )
    cut_BRTK = joined_BTW.unflatten(-1, (relation_heads, -1)).transpose(1, 2)
    return cut_BRTK @ cut_BRTK.transpose(-1, -2) * (width // relation_heads) ** -0.5


def relation_divergence(
    student_BJTK: Tensor, teacher_BJTK: Tensor, keep_BT: Tensor, relation_heads: int
) -> Tensor:
    """The divergence of one relation in nats, averaged over relation heads and real tokens."""
    real_B1TT = (keep_BT.unsqueeze(2) & keep_BT.unsqueeze(1)).unsqueeze(1)
    ours, theirs = (relation_scores(x, relation_heads) for x in (student_BJTK, teacher_BJTK))
    return map_divergence(ours, theirs, real_B1TT)


@technique("relations", paper="Wang et al. 2021 (MiniLMv2), arXiv:2012.15828")
class Relations(Objective):
    """Match relations of tokens in one layer: for any student, whatever its width and heads."""

    unit = "token"
    needs_attention = True

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""
    relation_heads: Count = 12
    """Parts into which queries, keys and values are cut; must divide their widths in both models.
    More are finer: the paper has 48 for teachers of base size."""
    teacher_layer: Index | None = None
    """Teacher layer that the student's last is compared with; None = the last. The paper has one a
    little below the top for large teachers."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters.

        Raises:
            ValueError: The teacher does not have this layer.
        """
        layer = teacher.layers - 1 if self.teacher_layer is None else self.teacher_layer
        if not 0 <= layer < teacher.layers:
            raise ValueError(
                f"teacher_layer: {layer} is not a layer of the teacher, which has 0 to "
                f"{teacher.layers - 1}"
            )
        return _Relations(self.relation_heads, layer)


class _Relations(nn.Module):
    def __init__(self, relation_heads: int, teacher_layer: int) -> None:
        super().__init__()
        self.relation_heads, self.teacher_layer = relation_heads, teacher_layer

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        ours, theirs = student.attention[-1], teacher.attention[self.teacher_layer]
        alike = ((ours.query, theirs.query), (ours.key, theirs.key), (ours.value, theirs.value))
        divergences = [
            relation_divergence(*both, student.keep, self.relation_heads) for both in alike
        ]
        return torch.stack(divergences).mean()
