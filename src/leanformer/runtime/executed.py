"""Which precision the matrix products really ran in, read from the graph that the runtime executes.

A file that is a quarter of the size proves nothing about speed: a runtime may unpack the integers
and multiply in floating point. OpenVINO tells the truth in its runtime model, onnxruntime in the
operators of the optimised graph.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from leanformer.core.step import Proof
from leanformer.numerics.fake_linear import FakeQuantLinear

_WITH_WEIGHT, _WITH_ACTIVATION = "FullyConnected", "MatMul"
_ATTENTION = "ScaledDotProductAttention"
_RUNS_AS = {"fp32": ("f32",), "bf16": ("bf16",), "int8": ("i8", "u8")}
_SLACK = 1.1  # scales, biases and norms stay fp32
_CONSTANTS = 2**16  # position ids and shapes of the graph, in bytes


def executed_precision(compiled: Any) -> dict[str, int]:
    """How many products with a weight a compiled OpenVINO model runs in each precision.

    Args:
        compiled: An `openvino.CompiledModel`.

    Returns:
        Counts by precision of the inputs ("i8", "u8", "bf16", "f32", ...). Attention's two products
        of activations are counted by `attention_precision`.
    """
    return _count(compiled, lambda info: info["layerType"].value == _WITH_WEIGHT)


def attention_precision(compiled: Any) -> dict[str, int]:
    """How many nodes that multiply activations a compiled OpenVINO model runs in each precision.

    Where the CPU has a kernel for whole attention (AVX-512, AMX), that is one node per layer, named
    by the precision of its queries; elsewhere each layer has two, one per product.
    """
    separate = _count(compiled, lambda info: info["layerType"].value == _WITH_ACTIVATION)
    return separate or _count(
        compiled,
        lambda info: (
            info["layerType"].value == "Subgraph"
            and _ATTENTION in info["originalLayersNames"].value
        ),
    )


def attention_ran(counts: dict[str, int], *, asked: int) -> Proof:
    """The proof that `asked` attentions read queries and keys as signed integers, as their
    symmetric grids are; a fused attention says "u8" where only its mask is an integer."""
    ran = counts.get("i8", 0)
    return nodes_ran("attentions that multiply integers", ran, asked, "OpenVINO", _words(counts))


def kernels_ran(counts: dict[str, int], precision: str, *, asked: int, backend: str) -> Proof:
    """The proof that at least `asked` products ran in `precision` ("fp32", "bf16" or "int8")."""
    ran = sum(counts.get(name, 0) for name in _RUNS_AS[precision])
    claim = f"matrix products executed in {precision}"
    return nodes_ran(claim, ran, asked, backend, _words(counts))


def nodes_ran(claim: str, ran: int, asked: int, backend: str, words: str) -> Proof:
    """The proof that `asked` nodes, and one at least, ran as claimed; `words` are the counts."""
    return Proof(
        claim=claim,
        before=0,
        after=ran,
        unit="nodes",
        ok=ran >= max(asked, 1),
        asked=asked,
        note=f"counted in the graph that {backend} executes: {words}",
    )


def stored_bytes(
    file: Path,
    model: nn.Module,
    precision: str,
    keep_float: tuple[str, ...] = (),
    graph: int = 0,
) -> Proof:
    """The proof that `file` is as small as `precision` says, next to the fp32 weights of `model`.

    Layers named in `keep_float`, and linear layers without scales in a model that carries scales,
    count as fp32. `graph` bytes of the file are no weights.
    """
    before = sum(parameter.numel() for parameter in model.parameters()) * 4
    carries = any(isinstance(module, FakeQuantLinear) for module in model.modules())
    floats = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if name in keep_float or (carries and isinstance(module, nn.Linear | nn.Embedding))
    )
    size = {"fp32": 4, "bf16": 2, "int8": 1}[precision]
    asked = (before // 4 - floats) * size + floats * 4
    after = file.stat().st_size - graph
    ok = after <= asked * _SLACK + _CONSTANTS
    return Proof(
        claim="weights on disk", before=before, after=after, unit="bytes", ok=ok, asked=asked
    )


def _count(compiled: Any, chosen: Callable[[Any], bool]) -> dict[str, int]:
    """The chosen nodes of the executed graph by their precision."""
    infos = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    return dict(Counter(i["runtimePrecision"].value.lower() for i in infos if chosen(i)))


def _words(counts: dict[str, int]) -> str:
    return (
        ", ".join(f"{count} {precision}" for precision, count in sorted(counts.items())) or "none"
    )
