"""Search SmoothQuant's alpha layer by layer: the alpha of least output error after rounding.

    argmin over α of  ‖ FQ(x ⊘ s_α) FQ(W ⊙ s_α)ᵀ - x Wᵀ ‖²        s_α as in `smoothquant`

One alpha for a whole model is a compromise: the outputs of a layer norm have outliers in a few
channels and need 0.8 and more, those of attention have none. Ranges come from all texts; a few
hundred rows are enough to choose among a few alphas, and they fit into memory for every layer at
once.

Layers that read the same tensor (query, key and value) share a divisor, as if they were one layer
with all their outputs: then the tensor is divided and rounded once, not three times.

Legend: N row, I in, O out.
"""

import math
from typing import Any

import torch
from torch import Tensor

from leanformer.calibrate.ranges import Range, observe_rows
from leanformer.numerics.grid import fake_quantize, input_grid, row_grid
from leanformer.quantize.post_training.smoothquant import same_inputs, smoothquant, weights_of

ALPHAS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_ROWS = 512  # that a layer is judged on


def best_divisors(
    model: Any, batches: list[dict[str, Tensor]], ranges: dict[str, Range]
) -> dict[str, Tensor]:
    """The divisor of each layer's input channels, by the layer's name.

    Args:
        model: The float model; it is run in evaluation mode.
        batches: Keyword arguments of the model; as many rows are looked at of each.
        ranges: What the inputs of the layers looked like.
    """
    groups = same_inputs(model, batches[0], tuple(ranges))
    layers = {names[0]: model.get_submodule(names[0]) for names in groups}
    rows: dict[str, list[Tensor]] = {name: [] for name in layers}
    each = math.ceil(_ROWS / len(batches))

    def take(name: str, x_NI: Tensor) -> None:
        places = torch.linspace(0, len(x_NI) - 1, min(each, len(x_NI)), device=x_NI.device)
        rows[name].append(x_NI[places.round().long()])

    observe_rows(model, layers, batches, take)
    divisors: dict[str, Tensor] = {}
    for names in groups:
        x_NI, found = torch.cat(rows[names[0]]), ranges[names[0]]
        divisor_I = best_divisor(x_NI, weights_of(model, names), found)
        divisors |= dict.fromkeys(names, divisor_I)
    return divisors


def best_divisor(x_NI: Tensor, weight_OI: Tensor, found: Range) -> Tensor:
    """The divisor of least output error, [in].

    Args:
        x_NI: Inputs of the layer.
        weight_OI: Its weight.
        found: The range of all its inputs.
    """
    divisors = [smoothquant(found.channel, weight_OI, alpha) for alpha in ALPHAS]
    return min(divisors, key=lambda divisor_I: output_error(x_NI, weight_OI, found, divisor_I))


def output_error(x_NI: Tensor, weight_OI: Tensor, found: Range, divisor_I: Tensor) -> float:
    """‖FQ(x ⊘ s) FQ(W ⊙ s)ᵀ - x Wᵀ‖², with the grid that holds all values in `found`."""
    grid = input_grid((found.low_I / divisor_I).min(), (found.high_I / divisor_I).max())
    smooth_OI = weight_OI * divisor_I
    rounded_OI = fake_quantize(smooth_OI, row_grid(smooth_OI))
    missed_NO = fake_quantize(x_NI / divisor_I, grid) @ rounded_OI.T - x_NI @ weight_OI.T
    return float(missed_NO.square().sum())
