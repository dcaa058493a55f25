"""ONNX Runtime on a properly fused graph: the portable path.

Three facts, each of which has cost users an afternoon:

- only the TorchScript exporter with *eager* attention gives a graph whose attention can be fused
  today; the others give zero fused nodes without a word. Here the fused nodes are counted.
- dynamic int8 of a fused graph needs `DefaultTensorType`, or it cannot type the fused weights.
- static int8 of a fused graph quantizes nothing. It is not offered.

int8 is dynamic: weights by row and column on disk, activations quantized as they come. A model that
carries its own scales keeps them, in a graph that is not fused: the caller passes what writes them
(`leanformer.quantize.onnx_qdq.write_scales`).
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from leanformer.core.machine.child import ChildFailed, call_in_child
from leanformer.core.machine.device import on_cpu
from leanformer.core.proof import NoEffect, Proof, require
from leanformer.core.storage.several_files import new_files
from leanformer.numerics.fake_linear import count_fake_quantized
from leanformer.runtime.graph import InferenceGraph, example_inputs, exported
from leanformer.runtime.onnx.session import import_onnxruntime, onnx_file
from leanformer.runtime.proofs.executed import nodes_ran, stored_bytes
from leanformer.runtime.session import Precision
from leanformer.runtime.silence import silenced

_OPSET = 17
_FUSED = ("Attention", "MultiHeadAttention", "QAttention")
_INTEGER = ("QAttention", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulInteger")

Tracer = Callable[[Any, Path], None]
"""Exports a graph of plain layers to a file."""
ScaleWriter = Callable[[Tracer, Any, Path], tuple[int, int]]
"""From a tracer, a graph whose layers carry int8 scales, and the file to write, to the number of
integer products in the file and its bytes that are not weights."""


def export_onnx(
    model: Any,
    kind: str,
    folder: Path,
    *,
    precision: Precision = "fp32",
    pairs: bool = False,
    fused: bool = True,
    write_scales: ScaleWriter | None = None,
    overwrite: bool = False,
) -> list[Proof]:
    """Write a graph into `folder`: exported, fused, and for int8 dynamically quantized.

    Args:
        model: A model with a head for `kind`, on any device; with `FakeQuantLinear` layers,
            `write_scales` makes the int8 graph.
        kind: The task; pooling and head become part of the graph.
        folder: Where to write `onnx_file(precision)`, beside other graphs.
        precision: "fp32" or "int8".
        pairs: Whether inputs are pairs of texts.
        fused: Demand that attention is fused in every layer; False accepts what fuses.
        write_scales: Writes the scales that the layers of `model` carry into the graph.
        overwrite: Replace the graph if it exists.

    Returns:
        The proofs: fused attention nodes, integer operators, and the size on disk.

    Raises:
        FileExistsError: The graph exists, and `overwrite` is false.
        ValueError: `precision` is bf16, or fp32 for a model that carries int8 scales; or the model
            carries scales and there is no `write_scales`.
        NoEffect: Attention was not fused in every layer, or int8 quantized nothing.
    """
    if precision not in ("fp32", "int8"):
        raise ValueError(f"precision: ONNX Runtime runs fp32 or int8 here, not {precision!r}")
    carries = count_fake_quantized(model)
    if carries and precision == "fp32":
        raise ValueError(
            "precision: the model carries int8 scales, and fp32 would drop them; export it in int8"
        )
    if carries and write_scales is None:
        raise ValueError(
            "write_scales: the model carries int8 scales; pass the function that writes them, "
            "leanformer.quantize.onnx_qdq.write_scales"
        )
    import_onnxruntime()
    model = on_cpu(model)
    graph = InferenceGraph(model, kind, pairs=pairs)
    name = onnx_file(precision)
    with (
        new_files(folder, name, overwrite=overwrite) as path,
        tempfile.TemporaryDirectory(dir=path.parent) as raw,  # swept with it after a kill
    ):
        if carries and write_scales is not None:
            products, nodes = write_scales(trace, graph, path)
            executed = _in_child("executed_operators", {"path": str(path)})
            ran = integer_operators(Counter(executed), asked=products)
            return require([ran, stored_bytes(path, model, precision, graph=nodes)])
        plain, layers = Path(raw) / "plain.onnx", model.config.num_hidden_layers
        trace(graph, plain)
        made = {"source": str(plain), "target": str(path), "precision": precision}
        counts = _in_child("finish_graph", made)
        proofs = [attention_fused(Counter(counts["fused"]), layers=layers, demanded=fused)]
        if precision == "int8":
            proofs.append(integer_operators(Counter(counts["executed"]), asked=4 * layers))
        return require([*proofs, stored_bytes(path, model, precision)])


def _in_child(name: str, arguments: dict[str, Any]) -> Any:
    """A function of `runtime.onnx.graph`, called where a crash of ONNX Runtime ends a child."""
    try:
        return call_in_child(f"leanformer.runtime.onnx.graph:{name}", arguments)
    except ChildFailed as error:
        raise NoEffect(f"ONNX Runtime: {error}") from error


def trace(graph: InferenceGraph, path: Path) -> None:
    """Export by TorchScript with eager attention; the model's own attention is put back."""
    implementation = graph.model.config._attn_implementation
    graph.model.set_attn_implementation("eager")
    example = example_inputs(graph)
    axes = {name: {0: "batch", 1: "token"} for name in graph.inputs}
    by_token = {"last_hidden_state"} | ({"logits"} if graph.about.per_token else set())
    for name in graph.outputs:
        axes[name] = {0: "batch", **({1: "token"} if name in by_token else {})}
    try:
        with silenced():
            torch.onnx.export(
                exported(graph),
                tuple(example.values()),
                str(path),
                dynamo=False,
                opset_version=_OPSET,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_axes=axes,
            )
    finally:
        graph.model.set_attn_implementation(implementation)


def attention_fused(counts: Counter[str], *, layers: int, demanded: bool) -> Proof:
    """The proof that each of `layers` attention blocks became one node."""
    fused = sum(counts[name] for name in _FUSED)
    return Proof(
        claim="attention blocks fused",
        before=0,
        after=fused,
        unit="nodes",
        ok=fused == layers or not demanded,
        asked=layers,
        note="" if fused == layers else "pass fused=False to accept a slower graph",
    )


def integer_operators(counts: Counter[str], *, asked: int) -> Proof:
    """The proof that the executed graph has so many operators that multiply integers."""
    after = sum(counts[name] for name in _INTEGER)
    words = ", ".join(f"{counts[name]} {name}" for name in _INTEGER if counts[name]) or "none"
    claim, words = "matrix products executed in int8", f"{words}; QAttention holds three"
    return nodes_ran(claim, after, asked, "ONNX Runtime", words)
