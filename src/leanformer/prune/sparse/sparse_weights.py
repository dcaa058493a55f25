"""Sparse weights on disk: one bit per weight, and the values of the weights that are not zero.

    bytes = ⌈O · I / 8⌉ + 4 · values          per matrix: less than dense if more than 1/32 is zero

A bitmap is smaller than lists of indices unless fewer than about a thirtieth of the weights are
left. The checkpoint loads into plain dense layers, bit by bit as they were: it saves storage, and
products take as long as before.

Legend: O out, I in.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from leanformer.models.anatomy import layers_of
from leanformer.models.anatomy.channels import conv1d, is_linear, weight_of
from leanformer.models.lean.stored_config import check_unstored, mark_stored
from leanformer.models.tied import weights
from leanformer.numerics.bits import pack, packed_bytes, unpack

METHOD = "leanformer-sparse"  # how config.json calls the form
_WORTH = 1 / 32  # share of zeros from which the bitmap costs less than it saves


class SparseWeight(nn.Module):
    """The bitmap, the values and the bias of one layer: a container that computes nothing.

    Attributes:
        kept: One bit per weight [O, I], row by row, uint8.
        values: The weights whose bit is set.
    """

    kept: Tensor
    values: Tensor
    bias: nn.Parameter | None

    def __init__(self, layer: Any, kept: Tensor, values: Tensor) -> None:
        """The sparse form of `layer`, a linear map."""
        super().__init__()
        rows, columns = weight_of(layer).shape
        self.shape = (rows, columns)
        self.transposed = isinstance(layer, Conv1D)
        self.register_parameter("bias", layer.bias)
        self.register_buffer("kept", kept)
        self.register_buffer("values", values)

    @property
    def weight(self) -> Tensor:
        """The values: ModernBERT initializes layers by this name and skips loaded ones."""
        return self.values

    def dense(self) -> nn.Module:
        """The dense layer.

        Raises:
            ValueError: Bitmap and values do not belong together.
        """
        rows, columns = self.shape
        weight_OI = torch.zeros(rows, columns, dtype=self.values.dtype)
        kept_OI = unpack(self.kept.cpu(), 1, self.shape) == 0
        if int(kept_OI.sum()) != len(self.values):
            raise ValueError(
                f"the bitmap of a sparse weight keeps {int(kept_OI.sum())} of {rows} x {columns} "
                f"weights, and there are {len(self.values)} values: the file is damaged; copy or "
                "make the model again"
            )
        weight_OI[kept_OI] = self.values.cpu()
        weight_OI = weight_OI.to(self.values.device)
        if self.transposed:
            return conv1d(weight_OI, self.bias)
        with torch.device("meta"):  # skips a random initialization that is replaced at once
            layer = nn.Linear(columns, rows, bias=self.bias is not None)
        layer.weight = nn.Parameter(weight_OI)
        if self.bias is not None:
            layer.bias = self.bias
        return layer


def sparse_layers(model: Any) -> dict[str, int]:
    """The number of values of each linear map that has enough zeros to be stored sparse.

    Raises:
        ValueError: No linear map has.
    """
    inside = {id(module) for module in layers_of(model).modules()}
    counts = {
        name: int(module.weight.count_nonzero())
        for name, module in model.named_modules()
        if is_linear(module) and id(module) in inside
    }
    sizes = {name: model.get_submodule(name).weight.numel() for name in counts}
    worth = {n: count for n, count in counts.items() if count < (1 - _WORTH) * sizes[n]}
    if not worth:
        raise ValueError(
            "pack-sparse: no matrix of the layers has zeros to leave out; put sparsify or "
            "sparse-gpt before it"
        )
    return worth


def encode_sparse(model: Any, names: Mapping[str, int]) -> None:
    """Replace layers of `model` by their sparse form, in place, for `save_pretrained` to store.

    The model cannot compute until `to_dense`.

    Raises:
        ValueError: The model is stored in another form. Nothing is changed then.
    """
    check_unstored(model.config, METHOD)
    for name in names:
        layer = model.get_submodule(name)
        weight_OI = weight_of(layer).detach()
        kept_OI = weight_OI != 0
        bits = pack(kept_OI.to(torch.int8) - 1, 1)  # codes of one bit are -1 and 0
        model.set_submodule(name, SparseWeight(layer, bits, weight_OI[kept_OI].clone()))
    mark_stored(model.config, {"quant_method": METHOD, "layers": dict(names)})


def read_sparse(model: Any, layers: Mapping[str, int]) -> None:
    """Replace layers of a new model by empty sparse forms, for `from_pretrained` to fill.

    Works on the meta device too, where `from_pretrained` builds models. Layers that this class of
    model does not have are skipped.

    Raises:
        ValueError: None of the layers is there.
    """
    names = {name for name, _ in model.named_modules()}
    prefix = f"{model.base_model_prefix}."
    placed = 0
    for name, count in layers.items():
        for candidate in (name, name.removeprefix(prefix), prefix + name):
            if candidate in names:
                layer: Any = model.get_submodule(candidate)
                bits = torch.empty(packed_bytes(layer.weight.numel(), 1), dtype=torch.uint8)
                values = torch.empty(count, dtype=layer.weight.dtype)
                model.set_submodule(candidate, SparseWeight(layer, bits, values))
                placed += 1
                break
    if not placed:
        raise ValueError(
            f"config.json: quantization_config names {len(layers)} layers, and none of them is in "
            f"{type(model).__name__}; the file was changed by hand, or is of another architecture"
        )


def to_dense(model: Any) -> None:
    """Replace the sparse forms in `model` by dense layers, in place."""
    for name, module in list(model.named_modules()):
        if isinstance(module, SparseWeight):
            model.set_submodule(name, module.dense().train(model.training))


def sparse_bytes(model: nn.Module, names: Mapping[str, int]) -> dict[str, int]:
    """The bytes that a checkpoint with these layers in sparse form must hold, by kind."""
    left_out = {f"{name}.weight" for name in names}
    maps: dict[str, Any] = {name: model.get_submodule(name).weight for name in names}
    return {
        "bitmaps": sum(packed_bytes(weight.numel(), 1) for weight in maps.values()),
        "values": 4 * sum(names.values()),
        "float": sum(t.nbytes for t in weights(model, without=left_out).values()),
    }
