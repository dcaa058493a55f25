"""N:M sparsity: of every M consecutive weights in a row, at most N are kept.

Tensor cores of GPUs multiply 2:4 at up to twice the speed. While a schedule removes less than that,
the lowest scores of those that must be removed in the end are removed first.

Legend: O out, I in, G groups.
"""

import torch
from torch import Tensor

from leanformer.core.ranges import Count
from leanformer.core.technique import technique
from leanformer.prune.pattern import Pattern


@technique("n-of-m", paper="Mishra et al. 2021, arXiv:2104.08378")
class NOfM(Pattern):
    """Keep N of each M consecutive weights: the pattern of sparse tensor cores."""

    n: Count = 2
    """Weights that are kept in each group."""
    m: Count = 4
    """Weights per group, consecutive in a row."""

    def __post_init__(self) -> None:
        if self.n >= self.m:
            raise ValueError(f"n: {self.n} of {self.m} is not a pattern; n is below m")

    def units(self, scores_OI: Tensor) -> Tensor:
        """See `Pattern.units`: the weights themselves.

        Raises:
            ValueError: The groups do not divide the rows.
        """
        if scores_OI.shape[1] % self.m:
            raise ValueError(
                f"m: groups of {self.m} do not divide rows of {scores_OI.shape[1]} weights"
            )
        return scores_OI

    def spread(self, units_U: Tensor, shape: tuple[int, int]) -> Tensor:
        """See `Pattern.spread`."""
        return units_U

    def max_sparsity(self) -> float:
        """See `Pattern.max_sparsity`."""
        return 1 - self.n / self.m

    def protected(self, scores_U: Tensor) -> Tensor | None:
        """See `Pattern.protected`: the n best of each group."""
        groups_OGm = scores_U.unflatten(1, (-1, self.m))
        best = groups_OGm.topk(self.n, dim=-1).indices
        chosen = torch.zeros_like(groups_OGm, dtype=torch.bool).scatter_(-1, best, True)
        return chosen.flatten(1)
