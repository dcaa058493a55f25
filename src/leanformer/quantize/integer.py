"""From layers that were trained to round to layers that integer kernels can run.

    ŵ_oi = (q_oi - z_o) s_o,  |q - z| ≤ 127      is an int8 row as it stands: exact
    anything else                               is rounded once more, to int8 rows, with an error

Ternary codes and codes of few bits with one scale a row (or a layer, or a group of rows) are exact;
groups of columns have several scales in a row, which a kernel cannot multiply with. Inputs keep the
range that they were trained with; where there is none (dynamic ranges, no rounding) it is found on
texts.

Legend: O out, I in.
"""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.calibrate.products import product_grids
from leanformer.calibrate.ranges import observe_ranges
from leanformer.models.stored_config import mark_plain
from leanformer.numerics.fake_linear import FakeQuantEmbedding, FakeQuantLinear
from leanformer.numerics.grid import Grid, row_grid
from leanformer.quantize.fake import (
    QuantEmbedding,
    QuantLinear,
    RoundedWeight,
    float_linear,
    rounded_layers,
)

_TOP = 127
_BITS = (0, 255), (-_TOP, _TOP)  # the integers of inputs that the kernels take
_TINY = torch.finfo(torch.float32).eps  # the step of a weight that is 0 everywhere


def rounds(model: nn.Module) -> bool:
    """Whether layers of `model` were swapped for ones that round."""
    return bool(rounded_layers(model))


def carried(
    model: Any, batches: Iterable[dict[str, Tensor]]
) -> tuple[Any, list[tuple[str, float]]]:
    """A copy of `model` whose rounding layers carry int8 scales, as the exporter wants them.

    Args:
        model: A model with layers that round.
        batches: Real inputs, on which ranges are found that the model does not know.

    Returns:
        The copy; and the relative squared error of each weight by rounding it once more, worst
        first: 0 where it is exact.

    Raises:
        ValueError: Inputs are rounded to a grid that no int8 kernel takes, or nothing rounds.
    """
    names = list(rounded_layers(model))
    if not names:
        raise ValueError("the model has no layers that round; put a quantize-aware step before")
    for name, layer in rounded_layers(model).items():
        _check(name, _trained_grid(layer))
    copied = copy.deepcopy(model)
    mark_plain(copied.config)  # its layers do not round as it says any more
    layers = rounded_layers(copied)
    scales = {name: row_scale(layer) for name, layer in layers.items()}
    for name, layer in layers.items():
        copied.set_submodule(name, plain(layer))
    unknown = [
        name
        for name, layer in layers.items()
        if isinstance(layer, QuantLinear) and _trained_grid(layer) is None
    ]
    batches = list(batches)
    ranges = observe_ranges(copied, batches, layers=tuple(unknown)) if unknown else {}
    outputs = product_grids(copied, batches, layers)
    errors = []
    for name, layer in layers.items():
        float_layer = copied.get_submodule(name)
        errors.append((name, error_of(float_layer.weight, scales[name])))
        if isinstance(layer, QuantEmbedding):
            copied.set_submodule(name, FakeQuantEmbedding(float_layer, scales[name]))
            continue
        grid = _trained_grid(layer) or ranges[name].grid()
        carrying = FakeQuantLinear(float_layer, grid, rows=scales[name], output=outputs.get(name))
        copied.set_submodule(name, carrying)
    return copied, sorted(errors, key=lambda pair: pair[1], reverse=True)


def row_scale(layer: RoundedWeight) -> Tensor:
    """The scale [O] of each row in int8: the layer's own where its codes are exact in it."""
    if layer.quantizer is None:
        return row_grid(layer.weight).scale
    stored = layer.quantized()
    codes = stored.codes_OI.to(torch.int16)
    whole_rows = stored.block[1] == codes.shape[1]
    if whole_rows and stored.zero_point is not None:
        zeros = stored.zero_point.to(torch.int16).reshape(-1, 1)
        codes = codes - zeros.repeat_interleave(stored.block[0], dim=0)
    if not whole_rows or int(codes.abs().max()) > _TOP:
        return row_grid(stored.dequantized()).scale
    return stored.scale.reshape(-1).repeat_interleave(stored.block[0]).float().clamp(min=_TINY)


@torch.no_grad()
def plain(layer: RoundedWeight) -> nn.Linear | nn.Embedding:
    """The float layer that holds the rounded weight, without the rounding of inputs."""
    weight_OI = layer.rounded().detach().clone()
    if isinstance(layer, QuantLinear):
        return float_linear(weight_OI, layer.bias)
    assert isinstance(layer, QuantEmbedding)
    rows, columns = weight_OI.shape
    return nn.Embedding(rows, columns, layer.padding_idx, _weight=weight_OI)


def error_of(weight_OI: Tensor, scale_O: Tensor) -> float:
    """‖W - int8 rows of W‖² / ‖W‖²."""
    scale_O1 = scale_O[:, None]
    rounded = (weight_OI / scale_O1).round().clamp(-_TOP, _TOP) * scale_O1
    squares = weight_OI.detach().square().sum().clamp(min=1e-30)
    return float((rounded - weight_OI).detach().square().sum() / squares)


def _trained_grid(layer: RoundedWeight) -> Grid | None:
    """The one grid that the inputs were trained with, if there is one."""
    inputs = layer.activations if isinstance(layer, QuantLinear) else None
    return None if inputs is None else inputs.grid()


def _check(name: str, grid: Grid | None) -> None:
    if grid is not None and (grid.low, grid.high) not in _BITS:
        raise ValueError(
            f"{name}: inputs are rounded to the integers {grid.low} … {grid.high}, and integer "
            "kernels take 8 bits; train with bits = 8, or store the model with `pack`"
        )
