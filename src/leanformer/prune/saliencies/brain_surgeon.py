"""Optimal brain surgeon on blocks: curvature with its neighbours, and survivors that make up.

    F = 1/m Σ g gᵀ + δ I        for each block of B weights that follow each other in a row
    score_q = w_q² / (2 [F⁻¹]_qq)
    removed Q, kept K:          w_K ← w_K + F_KK⁻¹ F_KQ w_Q

F is the empirical Fisher matrix, for the Hessian at a minimum. Blocks make it affordable: B numbers
a weight in place of all. With B = 1 it is optimal brain damage. Each choice inverts every block, so
choose seldom (`every` of `sparsify`), as the paper does, with training between.

Legend: O out, I in, G blocks of a row, B width of a block, Q removed, K kept, g gradient.
"""

import torch
from torch import Tensor

from leanformer.core.technique import technique
from leanformer.prune.saliency import Evidence, Saliency


def damped(fisher_OGBB: Tensor, damping: float) -> Tensor:
    """The blocks with `damping` times their mean diagonal added, at least a little."""
    mean = fisher_OGBB.diagonal(dim1=-2, dim2=-1).mean()
    eye_BB = torch.eye(fisher_OGBB.shape[-1], dtype=mean.dtype, device=mean.device)
    return fisher_OGBB + eye_BB * (damping * mean).clamp(min=1e-12)


def removal_losses(weight_OGB: Tensor, fisher_OGBB: Tensor) -> Tensor:
    """The loss of removing each weight when its block makes up for it, [O, G, B]."""
    inverse_OGBB = torch.linalg.inv(fisher_OGBB)
    return weight_OGB.square() / (2 * inverse_OGBB.diagonal(dim1=-2, dim2=-1))


def made_up(weight_OGB: Tensor, kept_OGB: Tensor, fisher_OGBB: Tensor) -> Tensor:
    """The weights after those that are not kept are 0 and the rest made up for them."""
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
class BrainSurgeon(Saliency):
    """Remove what its neighbours can make up for, and let them: second order, in blocks."""

    gathers = frozenset({"fisher"})

    block: int = 16
    """Weights of a row that follow each other and make up for each other; costs as many numbers a
    weight in memory."""
    damping: float = 0.1
    """Share of the mean diagonal that is added to the diagonal."""

    def __post_init__(self) -> None:
        if self.block < 1:
            raise ValueError(f"block: {self.block} is not at least 1")
        if self.damping <= 0:
            raise ValueError(f"damping: {self.damping} is not positive; 0.1 is usual")

    @property
    def fisher_block(self) -> int:
        """See `Saliency.fisher_block`."""
        return self.block

    def score(self, weight_OI: Tensor, evidence: Evidence | None) -> Tensor:
        """See `Saliency.score`."""
        fisher_OGBB = self._fisher(evidence)
        weight_OGB = weight_OI.detach().unflatten(1, (-1, self.block))
        return removal_losses(weight_OGB, fisher_OGBB).flatten(1)

    def moved(self, weight_OI: Tensor, kept_OI: Tensor, evidence: Evidence | None) -> Tensor:
        """See `Saliency.moved`."""
        weight_OGB = weight_OI.detach().unflatten(1, (-1, self.block))
        kept_OGB = kept_OI.unflatten(1, (-1, self.block))
        return made_up(weight_OGB, kept_OGB, self._fisher(evidence)).flatten(1)

    def _fisher(self, evidence: Evidence | None) -> Tensor:
        assert evidence is not None
        assert evidence.fisher_OGBB is not None, "it is gathered"
        return damped(evidence.fisher_OGBB, self.damping)
