"""Optimal brain surgeon on blocks: second-order scores, and kept weights that compensate.

    F = 1/m Σ g gᵀ + δ I        for each block of B consecutive weights of a row
    score_q = w_q² / (2 [F⁻¹]_qq)
    removed Q, kept K:          w_K ← w_K + F_KK⁻¹ F_KQ w_Q

F is the empirical Fisher matrix, in place of the Hessian at a minimum. Blocks make it affordable: B
numbers per weight. With B = 1 it is optimal brain damage. Each mask update inverts
every block, so update seldom (`every` of `sparsify`), as the paper does, with training in between.

Legend: O out, I in, G blocks of a row, B width of a block, Q removed, K kept, g gradient.
"""

import torch
from torch import Tensor

from leanformer.core.ranges import Count, Positive
from leanformer.core.technique import technique
from leanformer.prune.criteria.interface import GradientStatistics, WeightCriterion


def damped(fisher_OGBB: Tensor, damping: float) -> Tensor:
    """The blocks with `damping` times their mean diagonal added, at least a little."""
    mean = fisher_OGBB.diagonal(dim1=-2, dim2=-1).mean()
    eye_BB = torch.eye(fisher_OGBB.shape[-1], dtype=mean.dtype, device=mean.device)
    return fisher_OGBB + eye_BB * (damping * mean).clamp(min=1e-12)


def removal_losses(weight_OGB: Tensor, fisher_OGBB: Tensor) -> Tensor:
    """The loss of removing each weight when its block compensates for it, [O, G, B]."""
    inverse_OGBB = torch.linalg.inv(fisher_OGBB)
    return weight_OGB.square() / (2 * inverse_OGBB.diagonal(dim1=-2, dim2=-1))


def compensated(weight_OGB: Tensor, kept_OGB: Tensor, fisher_OGBB: Tensor) -> Tensor:
    """The weights with removed ones set to 0 and the kept ones compensating."""
    both = kept_OGB.unsqueeze(-1) & kept_OGB.unsqueeze(-2)
    eye_BB = torch.eye(fisher_OGBB.shape[-1], dtype=torch.bool, device=fisher_OGBB.device)
    among_OGBB = torch.where(both, fisher_OGBB, eye_BB.to(fisher_OGBB.dtype))
    gone_OGB = weight_OGB.masked_fill(kept_OGB, 0)
    pull_OGB = (fisher_OGBB @ gone_OGB.unsqueeze(-1)).squeeze(-1).masked_fill(~kept_OGB, 0)
    moved_OGB = torch.linalg.solve(among_OGBB, pull_OGB.unsqueeze(-1)).squeeze(-1)
    return (weight_OGB + moved_OGB).masked_fill(~kept_OGB, 0)


@technique(
    "brain-surgeon",
    paper="Hassibi & Stork 1993 (NeurIPS 5); Kurtic et al. 2022 (oBERT), arXiv:2203.07259",
)
class BrainSurgeon(WeightCriterion):
    """Remove what its neighbors can compensate for, and let them: second order, in blocks."""

    needs = frozenset({"fisher"})

    block_size: Count = 16
    """Consecutive weights of a row that compensate for each other. Memory grows with it: so many
    numbers per weight."""
    damp_percent: Positive = 0.1
    """Share of the mean diagonal that is added to the diagonal."""

    @property
    def fisher_block(self) -> int:
        """See `WeightCriterion.fisher_block`."""
        return self.block_size

    def score(self, weight_OI: Tensor, statistics: GradientStatistics | None) -> Tensor:
        """See `WeightCriterion.score`."""
        fisher_OGBB = self._fisher(statistics)
        weight_OGB = weight_OI.detach().unflatten(1, (-1, self.block_size))
        return removal_losses(weight_OGB, fisher_OGBB).flatten(1)

    def compensate(
        self, weight_OI: Tensor, kept_OI: Tensor, statistics: GradientStatistics | None
    ) -> Tensor:
        """See `WeightCriterion.compensate`."""
        weight_OGB = weight_OI.detach().unflatten(1, (-1, self.block_size))
        kept_OGB = kept_OI.unflatten(1, (-1, self.block_size))
        return compensated(weight_OGB, kept_OGB, self._fisher(statistics)).flatten(1)

    def _fisher(self, statistics: GradientStatistics | None) -> Tensor:
        assert statistics is not None
        assert statistics.fisher_OGBB is not None, "the criterion needs it"
        return damped(statistics.fisher_OGBB, self.damp_percent)
