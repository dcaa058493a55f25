"""The interface of sparsity patterns: which weights are removed together.

Legend: O out, I in, U units: groups of weights that are removed as one, of any shape.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Pattern(ABC):
    """Says which weights are a unit, and which units may be removed."""

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

    def max_sparsity(self) -> float:
        """The largest share of the weights that this pattern can remove."""
        return 1.0

    def protected(self, scores_U: Tensor) -> Tensor | None:
        """[U] True for units that are never removed; None = any unit may be removed."""
        return None


def check_sparsity(sparsity: float, pattern: Pattern) -> None:
    """Refuse a sparsity that the pattern cannot reach.

    Raises:
        ValueError: It is above the pattern's `max_sparsity`.
    """
    if sparsity > pattern.max_sparsity() + 1e-9:  # 1 - keep may be off by a rounding
        raise ValueError(
            f"sparsity: {sparsity} is more than {pattern.max_sparsity():g}, the most that "
            f"{pattern} can remove"
        )


def kept_units(
    pattern: Pattern, scores: list[Tensor], sparsity: float, scope: str = "local"
) -> list[Tensor]:
    """Which units to keep: those with the highest scores, 1 - `sparsity` of them, rounded.

    Args:
        pattern: Which units may be removed.
        scores: Of the units of each weight, [U].
        sparsity: Share of the units to remove, in [0, 1).
        scope: "local": of each weight; "global": of all weights together, each keeping at least one
            unit.

    Returns:
        For each weight [U], True where a unit is kept.
    """
    scores = [_with_protection(pattern, one.detach().float()) for one in scores]
    if scope == "local":
        return [_top(one, sparsity) for one in scores]
    # the best unit of each weight is always kept: a weight of zeros passes nothing on
    lifted = [one.flatten().clone() for one in scores]
    for one in lifted:
        one[one.argmax()] = torch.inf
    everything = _top(torch.cat(lifted), sparsity)
    parts = everything.split([one.numel() for one in lifted])
    return [part.reshape(one.shape) for part, one in zip(parts, scores, strict=True)]


def _with_protection(pattern: Pattern, scores_U: Tensor) -> Tensor:
    protected_U = pattern.protected(scores_U)
    return scores_U if protected_U is None else scores_U.masked_fill(protected_U, torch.inf)


def _top(scores_U: Tensor, sparsity: float) -> Tensor:
    count = max(1, round((1 - sparsity) * scores_U.numel()))
    if count >= scores_U.numel():
        return torch.ones_like(scores_U, dtype=torch.bool)
    kept = torch.zeros(scores_U.numel(), dtype=torch.bool, device=scores_U.device)
    kept[scores_U.flatten().topk(count, sorted=False).indices] = True
    return kept.reshape(scores_U.shape)
