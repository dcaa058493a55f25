"""Attention maps: each student head spreads its attention over the tokens as a teacher head does.

    L = mean_{layers, heads, tokens} KL( softmax(a^t) || softmax(a^s) )      a = q k^T / sqrt(K)

MobileBERT's code has the cross entropy, whose gradient is the same. Queries are real tokens, and
keys what both models may look at. MobileBERT transfers one layer at a time (`layers`), student and
teacher being of one depth.

Legend: B batch, H head, T token, S key token, K head width, N real token.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.technique import technique
from leanformer.distill.comparisons.attention_pairs import check_heads, heads_of, visible
from leanformer.distill.comparisons.layerwise import Layerwise
from leanformer.distill.objective import Dims, Outputs
from leanformer.numerics.widen import widened

_REMEDY = "use relations, which suits any number of heads"


def map_divergence(student_BHTS: Tensor, teacher_BHTS: Tensor, visible_BTS: Tensor) -> Tensor:
    """The divergence of the maps in nats, averaged over heads and over queries that see something.

    Args:
        student_BHTS: Scores of the student, before the softmax.
        teacher_BHTS: Scores of the teacher.
        visible_BTS: True where a query looks at a key.
    """
    queries_BT = visible_BTS.any(-1)
    unseen_N1S = ~visible_BTS[queries_BT].unsqueeze(1)

    def log_map(scores_BHTS: Tensor) -> Tensor:
        scores_NHS = widened(scores_BHTS).transpose(1, 2)[queries_BT]
        lowest = torch.finfo(scores_NHS.dtype).min  # -inf would make 0 * inf of what is unseen
        return F.log_softmax(scores_NHS.masked_fill(unseen_N1S, lowest), dim=-1)

    log_student, log_teacher = log_map(student_BHTS), log_map(teacher_BHTS)
    total = F.kl_div(log_student, log_teacher, reduction="sum", log_target=True)
    return total / log_student.shape[:2].numel()


@technique("attention-maps", paper="Sun et al. 2020 (MobileBERT), arXiv:2004.02984")
class AttentionMaps(Layerwise):
    """Match attention probabilities head by head: MobileBERT's attention transfer."""

    unit = "token"
    needs_attention = True

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters.

        Raises:
            ValueError: The layers do not fit the depths, or heads have no counterpart.
        """
        pairs = self.pairs(student, teacher)
        if student.heads and teacher.heads:
            check_heads(student.heads, teacher.heads, pairs, _REMEDY)
        return _AttentionMaps(pairs)


class _AttentionMaps(nn.Module):
    def __init__(self, pairs: list[tuple[int, int]]) -> None:
        super().__init__()
        self.pairs = pairs

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        # sizes given by hand may lack heads
        check_heads(heads_of(student.attention), heads_of(teacher.attention), self.pairs, _REMEDY)
        layers = [(student.attention[m], teacher.attention[n]) for m, n in self.pairs]
        divergences = [
            map_divergence(ours.scores(), theirs.scores(), visible(ours, theirs, student.keep))
            for ours, theirs in layers
        ]
        return torch.stack(divergences).mean()
