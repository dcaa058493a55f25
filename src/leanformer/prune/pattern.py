"""The interface of sparsity patterns: which weights are removed together.

Legend: O out, I in, U units: what is removed as one, of any shape.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Pattern(ABC):
    """Says what a unit is, and which units may go."""

    family: ClassVar[str] = "pattern"

    @abstractmethod
    def units(self, scores_OI: Tensor) -> Tensor:
        """The scores of the units, [U].

        Raises:
            ValueError: The pattern does not fit a weight of this shape.
        """

    @abstractmethod
    def spread(self, units_U: Tensor, shape: tuple[int, int]) -> Tensor:
        """Expand per-unit values to the weight's shape [O, I]; differentiable."""

    def least(self) -> float:
        """The smallest share that can be kept."""
        return 0.0

    def protected(self, scores_U: Tensor) -> Tensor | None:
        """[U] True for units that are never removed; None = every unit may go."""
        return None


def kept_units(
    pattern: Pattern, scores: list[Tensor], keep: float, scope: str = "local"
) -> list[Tensor]:
    """Which units stay: exactly the asked share of them, rounded, the highest scores.

    Args:
        pattern: What may go.
        scores: Of the units of each weight, [U].
        keep: Share of the units to keep, in (0, 1].
        scope: "local": of each weight; "global": of all weights together, each keeping one unit at
            least.

    Returns:
        For each weight [U], True where a unit stays.
    """
    scores = [_with_protection(pattern, one.detach().float()) for one in scores]
    if scope == "local":
        return [_top(one, keep) for one in scores]
    # the best of each weight is kept in any case: a weight that is 0 everywhere passes nothing
    lifted = [one.flatten().clone() for one in scores]
    for one in lifted:
        one[one.argmax()] = torch.inf
    everything = _top(torch.cat(lifted), keep)
    parts = everything.split([one.numel() for one in lifted])
    return [part.reshape(one.shape) for part, one in zip(parts, scores, strict=True)]


def _with_protection(pattern: Pattern, scores_U: Tensor) -> Tensor:
    protected_U = pattern.protected(scores_U)
    return scores_U if protected_U is None else scores_U.masked_fill(protected_U, torch.inf)


def _top(scores_U: Tensor, keep: float) -> Tensor:
    count = max(1, round(keep * scores_U.numel()))
    if count >= scores_U.numel():
        return torch.ones_like(scores_U, dtype=torch.bool)
    kept = torch.zeros(scores_U.numel(), dtype=torch.bool, device=scores_U.device)
    kept[scores_U.flatten().topk(count, sorted=False).indices] = True
    return kept.reshape(scores_U.shape)
