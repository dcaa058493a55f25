"""A model's own int8 scales in an ONNX graph, where ONNX Runtime multiplies integers with them.

    x → QuantizeLinear → DequantizeLinear ┐
                     W int8 → DequantizeLinear → MatMul → + b

This is how ONNX writes "round here". ONNX Runtime makes one `MatMulIntegerToFloat` of the three
around a product. Fused attention would hide the products of queries, keys and values from it, so
attention stays as it is traced: the price of keeping trained scales here (OpenVINO has both).
Queries are multiplied with keys as floats, so the grids of their outputs are left out.

The traced graph has plain layers that hold rounded weights; it is rewritten by the names of its
nodes, which are the paths of the modules.

Legend: I in, O out, V vocabulary, D model width.
"""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leanformer.core.proof import NoEffect
from leanformer.numerics.fake_linear import FakeQuantEmbedding, FakeQuantLinear
from leanformer.numerics.grid import row_grid

_TOP = 127
_FLOAT = 1  # onnx.TensorProto.FLOAT


class _Divided(nn.Linear):
    """A linear layer whose input is divided channel by channel, as SmoothQuant wants it."""

    divisor: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * (1 / self.divisor))


def codes_of(layer: FakeQuantLinear | FakeQuantEmbedding) -> tuple[Tensor, Tensor]:
    """Integers [O, I] and the scale of each row [O] of a layer's weight."""
    weight_OI = layer.weight.detach()
    if isinstance(layer, FakeQuantLinear) and layer.smoothed:
        weight_OI = weight_OI * layer.smooth
    scale_O = row_grid(weight_OI).scale if layer.rows is None else layer.rows
    codes_OI = (weight_OI / scale_O[:, None]).round().clamp(-_TOP, _TOP)
    return codes_OI.to(torch.int8), scale_O


def write_scales(trace: Callable[[Any, Path], None], graph: Any, path: Path) -> tuple[int, int]:
    """Trace `graph` to `path` with the scales that its layers carry.

    Args:
        trace: Exports a graph of plain layers.
        graph: A module with `FakeQuantLinear` and `FakeQuantEmbedding` layers; left as it is.
        path: The file to write.

    Returns:
        How many products of whole texts are of integers (a head's product of one vector a text,
        which ONNX Runtime runs in floating point, is not counted); and the bytes of the file that
        are no weights.

    Raises:
        NoEffect: No product of a layer that carries scales was found in the traced graph.
    """
    import onnx

    layers = {
        name: module
        for name, module in graph.named_modules()
        if isinstance(module, FakeQuantLinear | FakeQuantEmbedding)
    }
    codes = {name: codes_of(layer) for name, layer in layers.items()}
    trace(_plain(graph, layers, codes), path)
    rewriter = _Rewriter(onnx.load(path))
    for name, layer in layers.items():
        rewriter.rewrite(name, layer, *codes[name])
    if not rewriter.products:
        raise NoEffect("onnx: no product of a layer with scales is in the traced graph")
    finished = rewriter.finished()
    onnx.save(finished, path)
    weights = sum(len(tensor.raw_data) for tensor in finished.graph.initializer)
    return rewriter.products, path.stat().st_size - weights


def _plain(graph: Any, layers: dict[str, Any], codes: dict[str, tuple[Tensor, Tensor]]) -> Any:
    """A copy of `graph` whose layers hold rounded weights and round nothing."""
    plain = copy.deepcopy(graph)
    for name, layer in layers.items():
        codes_OI, scale_O = codes[name]
        weight_OI = codes_OI * scale_O[:, None]
        rows, columns = weight_OI.shape
        new: Any
        if isinstance(layer, FakeQuantEmbedding):
            new = nn.Embedding(rows, columns, layer.padding_idx, _weight=weight_OI)
        else:
            new = (_Divided if layer.smoothed else nn.Linear)(columns, rows, layer.bias is not None)
            new.weight = nn.Parameter(weight_OI)
            if layer.bias is not None:
                new.bias = nn.Parameter(layer.bias.detach().clone())
            if layer.smoothed:
                new.register_buffer("divisor", layer.smooth.detach().clone())
        plain.set_submodule(name, new.eval())
    return plain


class _Rewriter:
    """Puts integers into the nodes of an ONNX model, layer by layer."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.nodes = {node.name: node for node in model.graph.node}
        self.before: dict[str, list[Any]] = {}
        self.products = 0

    def rewrite(self, name: str, layer: Any, codes_OI: Tensor, scale_O: Tensor) -> None:
        """Write one layer's integers; a layer that the graph does not use is left out."""
        place = "/" + re.sub(r"\.(?!\d)", "/", name)  # "layer.0" is one part of the path
        kinds = ("Gather",) if isinstance(layer, FakeQuantEmbedding) else ("MatMul", "Gemm")
        found = [f"{place}/{kind}" for kind in kinds if f"{place}/{kind}" in self.nodes]
        if not found:
            return
        node = self.nodes[found[0]]
        if isinstance(layer, FakeQuantEmbedding):
            self._table(node, codes_OI, scale_O)
            return
        self.products += node.op_type == "MatMul"
        node.input[0] = self._rounded_input(node, layer)
        self._weight(node, codes_OI, scale_O)

    def finished(self) -> Any:
        """The model in order, without the float weights that nothing reads any more."""
        graph = self.model.graph
        ordered = [n for node in graph.node for n in (*self.before.get(node.name, ()), node)]
        read = {name for node in ordered for name in node.input}
        tensors = [tensor for tensor in graph.initializer if tensor.name in read]
        for field, items in ((graph.node, ordered), (graph.initializer, tensors)):
            del field[:]
            field.extend(items)
        return self.model

    def _rounded_input(self, node: Any, layer: FakeQuantLinear) -> str:
        """The input through the integers that it is rounded to; signed ones are moved up by 128,
        since ONNX Runtime's kernels for unsigned inputs are the faster ones on x86."""
        zero = np.array(int(layer.input_zero_point) + (128 if layer.low < 0 else 0), np.uint8)
        scale = layer.input_scale.float().numpy().reshape(())
        grid = [self._constant(node, "x_scale", scale), self._constant(node, "x_zero", zero)]
        codes = self._node(node, "QuantizeLinear", [node.input[0], *grid])
        return self._node(node, "DequantizeLinear", [codes, *grid])

    def _weight(self, node: Any, codes_OI: Tensor, scale_O: Tensor) -> None:
        """The weight in integers: [I, O] for a MatMul, [O, I] for a Gemm that transposes it."""
        gemm = node.op_type == "Gemm"
        codes = codes_OI.numpy() if gemm else np.ascontiguousarray(codes_OI.numpy().T)
        parts = [
            self._constant(node, "w", codes),
            self._constant(node, "w_scale", scale_O.detach().float().numpy()),
            self._constant(node, "w_zero", np.zeros(len(scale_O), np.int8)),
        ]
        node.input[1] = self._node(node, "DequantizeLinear", parts, axis=0 if gemm else 1)

    def _table(self, node: Any, codes_VD: Tensor, scale_V: Tensor) -> None:
        """Rows looked up as integers, and multiplied with their own scales."""
        ids = node.input[1]
        codes = self._constant(node, "table", codes_VD.numpy())
        scales = self._constant(node, "rows", scale_V.detach().float().numpy()[:, None])
        looked_up = self._node(node, "Gather", [codes, ids], axis=0)
        floats = self._node(node, "Cast", [looked_up], to=_FLOAT)
        factors = self._node(node, "Gather", [scales, ids], axis=0)
        del node.attribute[:]
        node.op_type = "Mul"
        node.input[:] = [floats, factors]

    def _constant(self, node: Any, name: str, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        whole = f"{node.name}/{name}"
        self.model.graph.initializer.append(numpy_helper.from_array(values, whole))
        return whole

    def _node(self, node: Any, kind: str, inputs: list[str], **attributes: int) -> str:
        """Put a node before `node`; the name of its output."""
        from onnx import helper

        new = self.before.setdefault(node.name, [])
        name = f"{node.name}/{kind}_{len(new)}"
        new.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name
