"""Attention scores: each student head weighs tokens as a teacher head does, before the softmax.

    L = mean_{layers, texts}  mean_{heads, real pairs} ( a^s_m - a^t_g(m) )^2
    a = q k^T / sqrt(K)

g(m) is the last layer of the m-th block of teacher layers. TinyBERT's code averages over all T x T
entries: those of padded keys are set to 0 in both models and count as agreement, those of padded
queries count as they are, so that the loss shrinks with the padding of the batch. Here only pairs
of a real query and a real key count, and each text counts the same.

Legend: B batch, H head, T token, S key token, K head width.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from leanformer.core.ranges import Index, NotNegative
from leanformer.core.technique import technique
from leanformer.distill.comparisons.attention_pairs import check_heads, heads_of, visible
from leanformer.distill.comparisons.layer_map import LayerMap, layer_map
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.models.attention.inputs import AttentionInputs
from leanformer.numerics.widen import widened

_REMEDY = "set heads = 'mean' to compare their mean"


def score_error(student_BHTS: Tensor, teacher_BHTS: Tensor, visible_BHTS: Tensor) -> Tensor:
    """Squared difference, averaged over heads and visible pairs of a text, then over texts.

    Args:
        student_BHTS: Scores of the student.
        teacher_BHTS: Scores of the teacher.
        visible_BHTS: True at the pairs that count; H may be 1.
    """
    difference = widened(student_BHTS) - widened(teacher_BHTS)
    squared_BTS = difference.masked_fill(~visible_BHTS, 0.0).pow(2).mean(1)
    pairs_BTS = visible_BHTS.to(squared_BTS.dtype).mean(1)  # of a head, on average
    return (squared_BTS.sum((1, 2)) / pairs_BTS.sum((1, 2))).mean()


@technique("attention-scores", paper="Jiao et al. 2020 (TinyBERT), arXiv:1909.10351")
class AttentionScores(Objective):
    """Match scores head by head: for a student with as many heads as its teacher."""

    unit = "example"
    needs_attention = True

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""
    teacher_layers: LayerMap | tuple[Index, ...] = "uniform"
    """Teacher layer for each student layer: a map, or which. Evenly spread layers are the last of
    each block where the depths divide."""
    heads: Literal["each", "mean"] = "each"
    """Compare each head with its own, or the mean over heads where their numbers differ."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters.

        Raises:
            ValueError: The layer map does not fit the depths, or heads have no counterpart.
        """
        mapped = layer_map(self.teacher_layers, student.layers, teacher.layers)
        if self.heads == "each" and student.heads and teacher.heads:
            check_heads(student.heads, teacher.heads, list(enumerate(mapped)), _REMEDY)
        return _AttentionScores(mapped, self.heads == "mean")


class _AttentionScores(nn.Module):
    def __init__(self, teacher_layers: list[int], mean: bool) -> None:
        super().__init__()
        self.teacher_layers, self.mean = teacher_layers, mean

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        if not self.mean:  # sizes given by hand may lack heads
            pairs = list(enumerate(self.teacher_layers))
            check_heads(heads_of(student.attention), heads_of(teacher.attention), pairs, _REMEDY)
        errors = []
        for ours, layer in zip(student.attention, self.teacher_layers, strict=True):
            theirs = teacher.attention[layer]
            seen = visible(ours, theirs, student.keep)
            if self.mean and seen.shape[1] > 1:
                raise ValueError(
                    "heads: 'mean' compares the mean over heads, and the heads of a layer attend "
                    "to different tokens here; set heads = 'each', or use relations"
                )
            errors.append(score_error(self._scores(ours), self._scores(theirs), seen))
        return torch.stack(errors).mean()

    def _scores(self, layer: AttentionInputs) -> Tensor:
        scores = layer.scores()
        return scores.mean(1, keepdim=True) if self.mean else scores
