"""A model that was trained to round (fake-quantized) to one whose layers carry int8 scales.

    ŵ_oi = (q_oi - z_o) s_o,  |q - z| ≤ 127      is an int8 row as it stands: exact
    anything else                                is rounded once more, to int8 rows, with an error

Ternary codes and codes of few bits with one scale per row (or per layer, or per group of rows) are
exact. Groups of columns have several scales in a row, which an integer kernel cannot multiply with.
Inputs keep the range that they were trained with; where training fixed none (dynamic ranges, inputs
not rounded) it is found on texts.

Example: a ternary row (-0.3, 0, 0.3) has codes (-1, 0, 1) and s = 0.3. As an int8 row it has the
same codes and the same scale, and the integer kernel multiplies what was trained.

Legend: O out, I in.
"""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.calibrate.ranges import observe_ranges
from leanformer.models.lean.stored_config import mark_plain
from leanformer.numerics.fake_linear import FakeQuantEmbedding, FakeQuantLinear
from leanformer.numerics.grid import Grid, row_grid
from leanformer.quantize.fake import (
    QATEmbedding,
    QATLinear,
    RoundedWeight,
    float_linear,
    rounded_layers,
)
from leanformer.quantize.post_training.query_key_grids import query_key_grids

_TOP = 127
_BITS = (0, 255), (-_TOP, _TOP)  # the integers of inputs that the kernels take
_TINY = torch.finfo(torch.float32).eps  # the step of a weight that is 0 everywhere


def is_fake_quantized(model: nn.Module) -> bool:
    """Whether layers of `model` were swapped for ones that round in every forward pass."""
    return bool(rounded_layers(model))


def to_int8(
    model: Any, batches: Iterable[dict[str, Tensor]]
) -> tuple[Any, list[tuple[str, float]]]:
    """A copy of `model` whose rounding layers carry int8 scales, as the exporters take them.

    Args:
        model: A fake-quantized model.
        batches: Real inputs, to find the ranges that training did not fix.

    Returns:
        The copy; and the relative squared error of rounding each weight once more, worst first: 0
        where int8 is exact.

    Raises:
        ValueError: Inputs are rounded to a grid that no int8 kernel takes, or no layer rounds.
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
        copied.set_submodule(name, as_float_layer(layer))
    unknown = [
        name
        for name, layer in layers.items()
        if isinstance(layer, QATLinear) and _trained_grid(layer) is None
    ]
    batches = list(batches)
    ranges = observe_ranges(copied, batches, layers=tuple(unknown)) if unknown else {}
    outputs = query_key_grids(copied, batches, layers)
    errors = []
    for name, layer in layers.items():
        float_layer = copied.get_submodule(name)
        errors.append((name, error_of(float_layer.weight, scales[name])))
        if isinstance(layer, QATEmbedding):
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
def as_float_layer(layer: RoundedWeight) -> nn.Linear | nn.Embedding:
    """A plain layer that holds the rounded weight and does not round its inputs."""
    weight_OI = layer.rounded().detach().clone()
    if isinstance(layer, QATLinear):
        return float_linear(weight_OI, layer.bias)
    assert isinstance(layer, QATEmbedding)
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
    inputs = layer.activations if isinstance(layer, QATLinear) else None
    return None if inputs is None else inputs.grid()


def _check(name: str, grid: Grid | None) -> None:
    if grid is not None and (grid.low, grid.high) not in _BITS:
        raise ValueError(
            f"{name}: inputs are rounded to the integers {grid.low} … {grid.high}, and integer "
            "kernels take 8 bits; train with bits = 8, or store the model with `pack`"
        )
