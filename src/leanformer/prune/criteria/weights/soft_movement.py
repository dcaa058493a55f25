"""Soft movement: scores above a threshold are kept, and a penalty pushes scores below it.

    M = 1[ σ(S) > τ_t ],  τ_t: 0 → τ        L += λ_t mean σ(S),  λ_t = λ τ_t / τ

The training finds the sparsity, which differs between matrices; λ controls it. At least one weight
in two hundred is kept in each matrix, so that no layer becomes zero.

Legend: U units of the pattern, τ threshold, λ penalty, σ logistic function.
"""

import torch
from torch import Tensor

from leanformer.core.ranges import InnerShare, NotNegative, Positive
from leanformer.core.technique import technique
from leanformer.prune.criteria.learned_mask import LearnedMask

_LEAST = 0.005


@technique("soft-movement", paper="Sanh et al. 2020, arXiv:2005.07683")
class SoftMovement(LearnedMask):
    """Let each matrix find its sparsity: the best movement pruning at high sparsity."""

    sets_sparsity = True

    threshold: InnerShare = 0.1
    """τ: units with σ(S) below it are removed in the end."""
    penalty_weight: NotNegative = 400.0
    """λ: higher means sparser; the paper uses 400 to keep 3 % on SQuAD."""
    rate: Positive = 300.0
    """Learning rate of the scores, relative to the weights'."""

    def gate(self, scores_U: Tensor, kept_U: Tensor, progress: float, training: bool) -> Tensor:
        """See `LearnedMask.gate`."""
        share = scores_U.detach().sigmoid()
        open_U = share > self.threshold * progress
        if open_U.float().mean() < _LEAST:
            count = max(1, round(_LEAST * share.numel()))
            best = share.flatten().topk(count).indices
            open_U = torch.zeros_like(share, dtype=torch.bool)
            open_U.view(-1)[best] = True
        return open_U.to(scores_U.dtype) + (scores_U - scores_U.detach())

    def penalty(self, scores_U: Tensor, progress: float) -> Tensor | None:
        """See `LearnedMask.penalty`."""
        return self.penalty_weight * progress * scores_U.sigmoid().mean()
