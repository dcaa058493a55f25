"""Give a model its own int8 scales: the layers are swapped for ones that carry them.

    ranges on real texts  →  grids  →  FakeQuantLinear, FakeQuantEmbedding in place of the originals

The swapped model computes what the integer kernels will, in PyTorch, with gradients; parameters
keep their names. `export_openvino` and `export_onnx` with `precision="int8"` then need no
calibration any more: these scales are what is run.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from torch import Tensor, nn

from leanformer.calibrate.alphas import best_divisors
from leanformer.calibrate.bias import correct_biases
from leanformer.calibrate.products import product_grids
from leanformer.calibrate.ranges import Method, Range, observe_ranges
from leanformer.calibrate.smoothing import same_inputs, smoothing, weights_of
from leanformer.core.processor import multiplies_int8_exactly
from leanformer.numerics.fake_linear import FakeQuantEmbedding, FakeQuantLinear
from leanformer.numerics.grid import row_grid

Smooth = float | Literal["searched"] | None
"""SmoothQuant's alpha; the best one of each layer; or activations stay as they are."""


def carry_scales(
    model: Any,
    batches: Iterable[dict[str, Tensor]],
    *,
    method: Method = "min-max",
    smooth: Smooth = "searched",
    correct_bias: bool = False,
    keep_float: tuple[str, ...] = (),
) -> list[str]:
    """Swap linear layers and embeddings of `model`, in place, for ones with int8 scales.

    Args:
        model: The float model.
        batches: Real inputs, by the names of the model's arguments.
        method: How activation ranges are chosen.
        smooth: SmoothQuant's alpha; "searched" is the one of least output error, layer by layer;
            None leaves activations as they are.
        correct_bias: Subtract the mean shift of each layer's outputs; runs the model once per
            layer.
        keep_float: Layers that stay as they are, by name.

    Returns:
        The names of the layers that were swapped. Layers that the inputs never reach (an unused
        pooler) are left alone.

    Raises:
        ValueError: A name in `keep_float` is unknown, no linear layer is left to quantize, or the
            inputs of one are always zero.
    """
    names = dict(model.named_modules())
    if unknown := [name for name in keep_float if name not in names]:
        raise ValueError(f"keep_float: no layer is named {', '.join(unknown)}")
    batches = list(batches)
    ranges = observe_ranges(model, batches)
    ranges = {name: found for name, found in ranges.items() if name not in keep_float}
    if not ranges:
        raise ValueError("there is no linear layer to quantize; keep_float names them all")
    for name, found in ranges.items():
        if found.low == found.high:  # both are 0 then
            raise ValueError(
                f"{name}: its inputs are {found.low:g} on all texts, so there is no range to round "
                "them to; calibrate on other texts, or name it in keep_float"
            )
    divisors = _divisors(model, batches, ranges, smooth)
    if divisors or method != "min-max":
        layers = tuple(ranges)
        ranges = observe_ranges(model, batches, method=method, layers=layers, divisors=divisors)
    outputs = product_grids(model, batches, ranges)
    for name, found in ranges.items():
        grid, divisor = found.grid(), divisors.get(name)
        rows = _safe_rows(names[name].weight, divisor)
        carrier = FakeQuantLinear(names[name], grid, divisor, rows, outputs.get(name))
        _swap(model, name, carrier)
    embeddings = [n for n, module in names.items() if isinstance(module, nn.Embedding)]
    for name in embeddings:
        if name not in keep_float:
            _swap(model, name, FakeQuantEmbedding(names[name]))
    if correct_bias:
        correct_biases(model, batches)
    return list(ranges)


def carried_scales(model: nn.Module) -> int:
    """How many linear layers of `model` carry their own scales."""
    return sum(isinstance(module, FakeQuantLinear) for module in model.modules())


def carried_products(model: nn.Module) -> int:
    """How many attentions of `model` multiply queries and keys that are both rounded."""
    rounding = [
        name
        for name, module in model.named_modules()
        if isinstance(module, FakeQuantLinear) and module.output_scale is not None
    ]
    parents = Counter(name.rpartition(".")[0] for name in rounding)
    return sum(count == 2 for count in parents.values())


def _divisors(
    model: Any, batches: list[dict[str, Tensor]], ranges: dict[str, Range], smooth: Smooth
) -> dict[str, Tensor]:
    if smooth is None:
        return {}
    if smooth == "searched":
        return best_divisors(model, batches, ranges)
    divisors: dict[str, Tensor] = {}
    for names in same_inputs(model, batches[0], tuple(ranges)):
        divisor = smoothing(ranges[names[0]].channel, weights_of(model, names), smooth)
        divisors |= dict.fromkeys(names, divisor)
    return divisors


def _safe_rows(weight_OI: Tensor, divisor_I: Tensor | None) -> Tensor | None:
    """Steps of 7-bit rows, [O], where this CPU's int8 products would saturate; None elsewhere."""
    if multiplies_int8_exactly():
        return None
    smoothed = weight_OI if divisor_I is None else weight_OI * divisor_I
    return row_grid(smoothed, bits=7).scale


def _swap(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
