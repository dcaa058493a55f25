"""Insert fake quantization: layers of a float model are swapped for ones that carry int8 scales.

    ranges on real texts  →  grids  →  FakeQuantLinear, FakeQuantEmbedding in place of the originals

The swapped model computes in PyTorch what the integer kernels will compute, with gradients;
parameters keep their names. Exported with `precision="int8"`, these scales are what runs:
`export_openvino` needs no calibration texts then, and `export_onnx` takes
`write_scales=leanformer.quantize.onnx_qdq.write_scales`.
"""

from collections.abc import Iterable
from typing import Any, Literal

from torch import Tensor, nn

from leanformer.calibrate.ranges import Range, observe_ranges
from leanformer.core.machine.processor import multiplies_int8_exactly
from leanformer.numerics.fake_linear import FakeQuantEmbedding, FakeQuantLinear
from leanformer.numerics.grid import row_grid
from leanformer.quantize.post_training.bias_correction import correct_biases
from leanformer.quantize.post_training.clipping import Method, calibrate_ranges
from leanformer.quantize.post_training.query_key_grids import query_key_grids
from leanformer.quantize.post_training.smoothquant import same_inputs, smoothquant, weights_of
from leanformer.quantize.post_training.smoothquant_search import best_divisors

Smooth = float | Literal["searched"] | None
"""SmoothQuant's alpha; "searched" = the best one for each layer; None = no SmoothQuant."""


def insert_fake_quant(
    model: Any,
    batches: Iterable[dict[str, Tensor]],
    *,
    method: Method = "min-max",
    smooth: Smooth = "searched",
    correct_bias: bool = False,
    modules_to_not_convert: tuple[str, ...] = (),
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
        modules_to_not_convert: Layers that stay as they are, by name.

    Returns:
        The names of the layers that were swapped. Layers that the inputs never reach (an unused
        pooler) are left alone.

    Raises:
        ValueError: A name in `modules_to_not_convert` is unknown, no linear layer is left to
            quantize, or the inputs of one are always zero.
    """
    names = dict(model.named_modules())
    if unknown := [name for name in modules_to_not_convert if name not in names]:
        raise ValueError(f"modules_to_not_convert: no layer is named {', '.join(unknown)}")
    batches = list(batches)
    ranges = observe_ranges(model, batches)
    ranges = {name: found for name, found in ranges.items() if name not in modules_to_not_convert}
    if not ranges:
        raise ValueError(
            "there is no linear layer to quantize; modules_to_not_convert names them all"
        )
    for name, found in ranges.items():
        if found.low == found.high:  # both are 0 then
            raise ValueError(
                f"{name}: its inputs are {found.low:g} on all texts, so there is no range to round "
                "them to; calibrate on other texts, or name it in modules_to_not_convert"
            )
    divisors = _divisors(model, batches, ranges, smooth)
    if divisors or method != "min-max":
        layers = tuple(ranges)
        ranges = calibrate_ranges(model, batches, method=method, layers=layers, divisors=divisors)
    outputs = query_key_grids(model, batches, ranges)
    for name, found in ranges.items():
        grid, divisor = found.grid(), divisors.get(name)
        rows = _safe_rows(names[name].weight, divisor)
        carrier = FakeQuantLinear(names[name], grid, divisor, rows, outputs.get(name))
        _swap(model, name, carrier)
    embeddings = [n for n, module in names.items() if isinstance(module, nn.Embedding)]
    for name in embeddings:
        if name not in modules_to_not_convert:
            _swap(model, name, FakeQuantEmbedding(names[name]))
    if correct_bias:
        correct_biases(model, batches)
    return list(ranges)


def _divisors(
    model: Any, batches: list[dict[str, Tensor]], ranges: dict[str, Range], smooth: Smooth
) -> dict[str, Tensor]:
    if smooth is None:
        return {}
    if smooth == "searched":
        return best_divisors(model, batches, ranges)
    divisors: dict[str, Tensor] = {}
    for names in same_inputs(model, batches[0], tuple(ranges)):
        divisor = smoothquant(ranges[names[0]].channel, weights_of(model, names), smooth)
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
