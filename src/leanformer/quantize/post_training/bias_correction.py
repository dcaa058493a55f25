"""Bias correction: rounding shifts the mean of a layer's outputs, and its bias shifts it back.

    b_O ← b_O + E_N[ W x_N - FQ(W) FQ(x_N) ]          (Nagel et al. 2019)

The rounding errors of a weight row do not cancel over the inputs, because inputs have a mean other
than 0. The shift is the same for every text, so a constant removes it at no cost.

Legend: N real token of any text, I in, O out.
"""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.calibrate.ranges import observe_rows
from leanformer.numerics.fake_linear import FakeQuantLinear, rounded_once


def correct_biases(model: nn.Module, batches: Iterable[dict[str, Tensor]]) -> dict[str, float]:
    """Correct the bias of every `FakeQuantLinear` in `model`, in place, in the order they run.

    Each layer is corrected on the inputs it has once all layers before it are corrected, so the
    model is run once per layer.

    Args:
        model: A model that carries its scales.
        batches: Keyword arguments of the model, with `attention_mask` where there is padding.

    Returns:
        How far each layer's outputs had moved, by name: root mean square over the outputs of the
        shift, relative to that of the exact outputs.

    Raises:
        ValueError: No layer of `model` carries scales, or there are no batches.
    """
    layers: dict[str, Any] = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, FakeQuantLinear)
    }
    batches = list(batches)
    if not layers or not batches:
        raise ValueError(
            f"{len(layers)} layers carry scales and there are {len(batches)} batches; call "
            "insert_fake_quant first, and give about 128 texts"
        )
    moved = {}
    with rounded_once(model):
        for name, layer in layers.items():
            shift_O, moved[name] = _shift(model, name, layer, batches)
            bias_O = shift_O if layer.bias is None else layer.bias.detach() + shift_O
            layer.bias = nn.Parameter(bias_O)  # the float layer keeps its own
    return moved


def _shift(
    model: nn.Module, name: str, layer: Any, batches: list[dict[str, Tensor]]
) -> tuple[Tensor, float]:
    """The mean over tokens of exact output - rounded output, and its size."""
    total_O, squares, count = layer.weight.new_zeros(layer.out_features), 0.0, 0

    def compare(_: str, x_NI: Tensor) -> None:
        nonlocal total_O, squares, count
        exact_NO = F.linear(x_NI, layer.weight, layer.bias)
        total_O = total_O + (exact_NO - layer.forward(x_NI)).sum(0)
        squares += float(exact_NO.square().sum())
        count += len(x_NI)

    observe_rows(model, {name: layer}, batches, compare)
    if not count:  # the inputs never reach the layer
        return total_O, 0.0
    shift_O = total_O / count
    size = squares / count / layer.out_features
    return shift_O, float((shift_O.square().mean() / max(size, 1e-30)).sqrt())
