"""Linear mode connectivity: whether two trainings ended in the same valley.

    barrier = max over α of   error(α θ_1 + (1 - α) θ_2) - [α error(θ_1) + (1 - α) error(θ_2)]

Two runs from one step k that differ only in the order of the data and in dropout are *stable* when
the error does not rise between them. Networks whose runs are stable from a step on have lottery
tickets from that step on (Frankle et al. 2020, arXiv:1912.05671).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from leanformer.models.tied import load_weights


def mixed(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """`share` of the first and the rest of the second; what is no floating point from the first."""
    return {
        name: share * tensor + (1 - share) * second[name] if tensor.is_floating_point() else tensor
        for name, tensor in first.items()
    }


@torch.no_grad()
def barrier(
    model: nn.Module,
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    quality: Callable[[nn.Module], float],
    points: int = 11,
) -> float:
    """How much the quality falls between two sets of weights below the line that joins theirs.

    Args:
        model: Takes the weights; it is left with its own.
        first: Weights by name, as of `state_dict`.
        second: The other ones.
        quality: Higher is better.
        points: How many mixtures are judged, both ends included.

    Raises:
        ValueError: There are fewer than three points, or the weights are of another model.
    """
    if points < 3:
        raise ValueError(f"points: {points} sees nothing between the ends; use 3 or more")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    shares = [index / (points - 1) for index in range(points)]
    found = []
    for share in shares:
        load_weights(model, mixed(first, second, share), "the mixed weights")
        found.append(quality(model))
    model.load_state_dict(before)
    lines = [share * found[-1] + (1 - share) * found[0] for share in shares]
    return max(line - value for line, value in zip(lines, found, strict=True))
