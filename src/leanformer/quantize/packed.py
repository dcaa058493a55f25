"""Packed weights: integer codes of 2 to 8 bits in bytes, and their scales, on the way to disk.

    bytes = ⌈O · I · bits / 8⌉ + 4 · scales + zero points          for each weight

A packed checkpoint loads into plain float layers that hold the dequantized weights, bit by bit
those that the packed model multiplied with: whatever works on a model works on it. Where inputs are
rounded too, the layers are `QATLinear` ones that round only these.

Legend: O out, I in.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from leanformer.models.anatomy.channels import conv1d, weight_of
from leanformer.models.lean.stored_config import mark_stored
from leanformer.models.tied import weights
from leanformer.numerics.bits import pack, packed_bytes
from leanformer.numerics.bits import unpack as codes_of
from leanformer.numerics.blocks import Block, Quantized
from leanformer.quantize.activations import Activations, Rounding
from leanformer.quantize.fake import QATLinear, float_linear, rounded_layers
from leanformer.quantize.quantizer import Quantizer
from leanformer.quantize.swap import activations_of, described, found


class PackedWeight(nn.Module):
    """The codes and scales of one layer beside its bias: a container, it computes nothing.

    Attributes:
        codes: The packed codes, uint8.
        scale: One a block, shaped as in `Quantized`.
        zero_point: Likewise, int8; None = 0 everywhere.
    """

    codes: Tensor
    scale: Tensor
    zero_point: Tensor | None
    bias: nn.Parameter | None
    activations: Rounding | None

    def __init__(
        self,
        layer: Any,
        codes: Tensor,
        scale: Tensor,
        zero_point: Tensor | None,
        bits: int,
        block: Block,
        inputs: Rounding | None,
    ) -> None:
        """Take the place of `layer`, a linear layer or an embedding, plain or rounding."""
        super().__init__()
        rows, columns = weight_of(layer).shape
        self.shape = (rows, columns)
        self.bits, self.block = bits, block
        self.padding_idx = getattr(layer, "padding_idx", None)
        self.linear = hasattr(layer, "in_features")
        self.transposed = isinstance(layer, Conv1D)
        self.register_parameter("bias", getattr(layer, "bias", None))
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("zero_point", zero_point)
        self.activations = inputs

    @property
    def weight(self) -> Tensor:
        """The codes: ModernBERT initialises layers by this name, and skips what was loaded."""
        return self.codes

    def dequantized(self) -> Tensor:
        """The weight [O, I]."""
        codes_OI = codes_of(self.codes.cpu(), self.bits, self.shape).to(self.scale.device)
        stored = Quantized(codes_OI, self.scale, self.zero_point, self.bits, self.block)
        return stored.dequantized()


def codes_of_layers(model: Any) -> dict[str, Quantized]:
    """The codes of the layers of `model` that round, by name.

    Raises:
        ValueError: No layer of the model rounds its weight, or one cannot be quantized.
    """
    layers = {n: m for n, m in rounded_layers(model).items() if m.quantizer is not None}
    if not layers:
        raise ValueError(
            "pack: no layer of the model rounds its weight; put a quantize-aware step before"
        )
    return {name: layer.quantized() for name, layer in layers.items()}


def hold(model: Any, stored: Mapping[str, Quantized]) -> None:
    """Replace layers of `model`, in place, by containers of these codes.

    The model computes nothing any more; `save_pretrained` writes its packed checkpoint.
    """
    settings = getattr(model.config, "quantization_config", None) or described({}, None, None)
    for name, codes in stored.items():
        layer = model.get_submodule(name)
        inputs = getattr(layer, "activations", None)
        packed = pack(codes.codes_OI, codes.bits)
        parts = (packed, codes.scale, codes.zero_point, codes.bits, codes.block)
        model.set_submodule(name, PackedWeight(layer, *parts, inputs))
    tables = {name: _table(codes) for name, codes in stored.items()}
    mark_stored(model.config, {**settings, "form": "packed", "layers": tables})


def hold_codes(model: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Replace layers of a freshly built model by containers, into which codes are then read.

    Works on the meta device too, where `from_pretrained` builds.

    Returns:
        The tables of the layers, by their names in `model`.

    Raises:
        ValueError: None of the layers is there, or a technique in the configuration is not known.
    """
    tables, activations = found(model, settings["layers"]), activations_of(dict(settings))
    for name, table in tables.items():
        layer: Any = model.get_submodule(name)
        rows, columns = weight_of(layer).shape
        bits, block = table["bits"], (table["block"][0], table["block"][1])
        codes = torch.empty(packed_bytes(rows * columns, bits), dtype=torch.uint8)
        scale = torch.empty(rows // block[0], 1, columns // block[1], 1)
        zero_point = scale.to(torch.int8) if table["zero_point"] else None
        inputs = None
        if activations is not None and isinstance(layer, nn.Linear):
            inputs = activations.build(columns)
        holder = PackedWeight(layer, codes, scale, zero_point, bits, block, inputs)
        model.set_submodule(name, holder)
    return tables


def unpack(model: Any, settings: Mapping[str, Any]) -> None:
    """Replace the containers of `model`, in place, by layers that hold dequantized weights."""
    activations: Activations | None = activations_of(dict(settings))
    rounding: dict[str, Quantizer | None] = {}
    for name, module in list(model.named_modules()):
        if isinstance(module, PackedWeight):
            layer = _plain(module)
            if module.activations is not None:
                assert isinstance(layer, nn.Linear)
                layer = QATLinear(layer, None, module.activations)
                rounding[name] = None
            model.set_submodule(name, layer.train(model.training))
    if rounding:
        mark_stored(model.config, described(rounding, activations, None))


@torch.no_grad()
def rounded_state(model: nn.Module, stored: Mapping[str, Quantized]) -> dict[str, Tensor]:
    """The state of `model` with rounded weights in place of latent ones: what packing must keep."""
    gathered = {f"{name}.second_moment" for name in stored}
    state = {name: t for name, t in model.state_dict().items() if name not in gathered}
    for name, codes in stored.items():
        turned = isinstance(model.get_submodule(name), Conv1D)
        weight_OI = codes.dequantized()
        state[f"{name}.weight"] = weight_OI.T if turned else weight_OI
    return state


def arithmetic_bytes(model: nn.Module, stored: Mapping[str, Quantized]) -> dict[str, int]:
    """What a packed checkpoint of `model` with these codes must hold, in bytes by kind."""
    counts = {"codes": 0, "scales": 0, "float": 0}
    latent = {f"{n}.{part}" for n in stored for part in ("weight", "second_moment")}
    for codes in stored.values():
        zeros = 0 if codes.zero_point is None else codes.zero_point.numel()
        counts["codes"] += packed_bytes(codes.codes_OI.numel(), codes.bits)
        counts["scales"] += codes.scale.numel() * codes.scale.element_size() + zeros
    counts["float"] = sum(tensor.nbytes for tensor in weights(model, without=latent).values())
    return counts


def _table(stored: Quantized) -> dict[str, Any]:
    """What config.json says of one packed weight."""
    zero_point = stored.zero_point is not None
    return {"bits": stored.bits, "block": list(stored.block), "zero_point": zero_point}


def _plain(packed: PackedWeight) -> nn.Module:
    weight_OI = packed.dequantized()
    if packed.transposed:
        return conv1d(weight_OI, packed.bias)
    if packed.linear:
        return float_linear(weight_OI, packed.bias)
    rows, columns = weight_OI.shape
    return nn.Embedding(rows, columns, packed.padding_idx, _weight=weight_OI)
