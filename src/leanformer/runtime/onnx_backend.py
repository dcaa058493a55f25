"""ONNX Runtime on a properly fused graph: the portable path.

Three facts, each of which has cost users an afternoon:

- only the TorchScript exporter with *eager* attention gives a graph whose attention can be fused
  today; the others give zero fused nodes without a word. Here the fused nodes are counted.
- dynamic int8 of a fused graph needs `DefaultTensorType`, or it cannot type the fused weights.
- static int8 of a fused graph quantizes nothing. It is not offered.

int8 is dynamic: weights by row and column on disk, activations quantized as they come. A model that
carries its own scales keeps them, in a graph that is not fused (`onnx_qdq`).
"""

import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from leanformer.core.files import new_folder
from leanformer.core.step import Proof, require
from leanformer.runtime.carry import carried_scales
from leanformer.runtime.executed import nodes_ran, stored_bytes
from leanformer.runtime.graph import InferenceGraph, example_inputs
from leanformer.runtime.onnx_heads import name_heads
from leanformer.runtime.onnx_qdq import write_scales
from leanformer.runtime.onnx_session import import_onnxruntime
from leanformer.runtime.session import Kind, Precision

_OPSET = 17
_FUSED = ("Attention", "MultiHeadAttention", "QAttention")
_INTEGER = ("QAttention", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulInteger")


def export_onnx(
    model: Any,
    kind: Kind,
    folder: Path,
    *,
    precision: Precision = "fp32",
    pairs: bool = False,
    fused: bool = True,
    overwrite: bool = False,
) -> list[Proof]:
    """Write `model.onnx` into `folder`: exported, fused, and for int8 dynamically quantized.

    Args:
        model: A model with a head for `kind`; with `FakeQuantLinear` layers, their scales make the
            int8 graph.
        kind: The task; pooling and head become part of the graph.
        folder: The folder to make.
        precision: "fp32" or "int8".
        pairs: Whether inputs are pairs of texts.
        fused: Demand that attention is fused in every layer; False accepts what fuses.
        overwrite: Replace the folder if it exists.

    Returns:
        The proofs: fused attention nodes, integer operators, and the size on disk.

    Raises:
        ValueError: `precision` is bf16, or fp32 for a model that carries int8 scales.
        NoEffect: Attention was not fused in every layer, or int8 quantized nothing.
    """
    if precision not in ("fp32", "int8"):
        raise ValueError(f"precision: ONNX Runtime runs fp32 or int8 here, not {precision!r}")
    carries = carried_scales(model)
    if carries and precision == "fp32":
        raise ValueError(
            "precision: the model carries int8 scales, and fp32 would drop them; export it in int8"
        )
    onnxruntime = import_onnxruntime()
    graph = InferenceGraph(model, kind, pairs=pairs)
    if carries:
        with new_folder(folder, overwrite=overwrite) as temporary:
            path = temporary / "model.onnx"
            products, nodes = write_scales(trace, graph, path)
            ran = integer_operators(onnxruntime, path, asked=products)
            return require([ran, stored_bytes(path, model, precision, graph=nodes)])
    with new_folder(folder, overwrite=overwrite) as temporary, tempfile.TemporaryDirectory() as raw:
        path = temporary / "model.onnx"
        plain, float_path = Path(raw) / "plain.onnx", Path(raw) / "fused.onnx"
        trace(graph, plain)
        optimized = fuse(plain)
        counts = Counter(node.op_type for node in optimized.model.graph.node)
        proofs = [attention_fused(counts, layers=model.config.num_hidden_layers, demanded=fused)]
        target = path if precision == "fp32" else float_path
        optimized.save_model_to_file(str(target))
        if precision == "int8":
            quantize_dynamic(float_path, path)
            proofs.append(
                integer_operators(onnxruntime, path, asked=4 * model.config.num_hidden_layers)
            )
        return require([*proofs, stored_bytes(path, model, precision)])


def trace(graph: InferenceGraph, path: Path) -> None:
    """Export by TorchScript with eager attention; the model's own attention is put back."""
    implementation = graph.model.config._attn_implementation
    graph.model.set_attn_implementation("eager")
    example = example_inputs(graph)
    axes = {name: {0: "batch", 1: "token"} for name in graph.inputs}
    rest = {1: "token"} if graph.kind == "tokens" else {}
    try:
        with _quiet():
            torch.onnx.export(
                graph,
                tuple(example.values()),
                str(path),
                dynamo=False,
                opset_version=_OPSET,
                input_names=list(graph.inputs),
                output_names=["output"],
                dynamic_axes={**axes, "output": {0: "batch", **rest}},
            )
    finally:
        graph.model.set_attn_implementation(implementation)


def fuse(path: Path) -> Any:
    """ONNX Runtime's own BERT fusions; head counts are read from each layer, so they may differ."""
    import_onnxruntime()
    import onnx
    from onnxruntime.transformers.optimizer import optimize_model

    model = onnx.load(path)
    name_heads(model)
    onnx.save(model, path)
    with _quiet():
        return optimize_model(str(path), model_type="bert", num_heads=0, hidden_size=0)


def quantize_dynamic(source: Path, target: Path) -> None:
    """Int8 weights by channel, full range, activations quantized while running."""
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_dynamic as ort_quantize_dynamic

    with _quiet():
        ort_quantize_dynamic(
            source,
            target,
            per_channel=True,
            reduce_range=False,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


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


def integer_operators(onnxruntime: Any, path: Path, *, asked: int) -> Proof:
    """The proof that the graph ONNX Runtime executes has so many products of integers."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "executed.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        model = onnx.load(options.optimized_model_filepath, load_external_data=False)
    counts = Counter(node.op_type for node in model.graph.node)
    after = sum(counts[name] for name in _INTEGER)
    words = ", ".join(f"{counts[name]} {name}" for name in _INTEGER if counts[name]) or "none"
    claim, words = "matrix products executed in int8", f"{words}; QAttention holds three"
    return nodes_ran(claim, after, asked, "ONNX Runtime", words)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the tracer's warnings and the chatter of the optimizer and the quantizer."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
