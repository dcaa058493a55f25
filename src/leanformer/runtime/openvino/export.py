"""OpenVINO straight from the torch module: no ONNX detour, no attention pattern to break.

Three precisions, and what is *executed* is pinned, never left to the runtime (its own default on a
CPU with bf16 instructions is bf16, so that an unsuspecting "fp32 against int8" compares something
else):

    fp32  weights fp32, executed in f32
    bf16  weights stored as fp16, executed in bf16
    int8  weights and activations of linear layers on integer kernels, the rest in f32

int8 comes from NNCF's post-training quantization, or from scales that the model itself carries
(`FakeQuantLinear`).
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from leanformer.core.machine.child import ChildFailed, call_in_child
from leanformer.core.machine.device import on_cpu
from leanformer.core.proof import NoEffect, Proof, require
from leanformer.core.storage.disk import naming_disk
from leanformer.core.storage.several_files import new_files
from leanformer.models.io.quiet import quiet
from leanformer.numerics.fake_linear import count_fake_quantized, count_integer_attention
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.graph import InferenceGraph, example_inputs, exported
from leanformer.runtime.openvino.first_token import first_token_alone
from leanformer.runtime.openvino.graph import write_samples
from leanformer.runtime.openvino.local_attention import finite_local_attention
from leanformer.runtime.openvino.session import OpenVinoSession as OpenVinoSession
from leanformer.runtime.openvino.session import import_openvino, openvino_file
from leanformer.runtime.proofs.executed import attention_ran, kernels_ran, stored_bytes
from leanformer.runtime.session import Precision
from leanformer.runtime.silence import silenced


def export_openvino(
    model: nn.Module,
    kind: str,
    folder: Path,
    *,
    precision: Precision = "fp32",
    pairs: bool = False,
    calibration: Calibration | None = None,
    modules_to_not_convert: tuple[str, ...] = (),
    overwrite: bool = False,
) -> list[Proof]:
    """Write the graph of `openvino_file(precision)` into `folder` and prove what it executes.

    Args:
        model: A model with a head for `kind`, on any device; with `FakeQuantLinear` layers, their
            scales make the int8 graph.
        kind: The task; pooling and head become part of the graph.
        folder: Where to write it, beside other graphs.
        precision: What to store and execute.
        pairs: Whether inputs are pairs of texts.
        calibration: Texts for NNCF's post-training quantization; needed for int8 unless the model
            carries scales.
        modules_to_not_convert: Names of linear layers that stay in floating point (NNCF; a model
            that carries scales decided already).
        overwrite: Replace the graph if it exists.

    Returns:
        The proofs: in which precision the products really run, and how large the file is.

    Raises:
        FileExistsError: The graph exists, and `overwrite` is false.
        ValueError: int8 was asked for, and there are neither scales nor texts to find them with.
        NoEffect: No product runs in the asked precision, the file did not shrink as it must, or
            OpenVINO crashes on this CPU.
        PassingFault: There was no memory, thread or disk for it.
    """
    import_openvino()
    model = on_cpu(model)
    carries = bool(count_fake_quantized(model))
    if precision == "int8" and not carries:
        _check_calibration(calibration)
    converted = convert(graph := InferenceGraph(model, kind, pairs=pairs))
    asked = 1
    if carries:
        compress_constants(converted)
        asked = max(1, quantized_products(converted))
    samples = None
    if precision == "int8" and not carries:
        assert calibration is not None
        samples = list(calibration.arrays(graph.inputs))
    kept = [] if samples is None else _nodes_of(converted, modules_to_not_convert)
    with new_files(folder, openvino_file(precision), overwrite=overwrite) as target:
        counts = _finish(converted, target, precision, samples, kept)
        proofs = [
            kernels_ran(counts["weights"], precision, asked=asked, backend="OpenVINO"),
            stored_bytes(target.with_suffix(".bin"), model, precision, modules_to_not_convert),
        ]
        if integers := count_integer_attention(model):
            proofs.append(attention_ran(counts["attention"], asked=integers))
        return require(proofs)


def _check_calibration(calibration: Calibration | None) -> None:
    """Refuse to look for scales without texts or without NNCF."""
    if calibration is None:
        raise ValueError(
            "precision: int8 needs calibration texts, or a model that carries its own scales; "
            "pass calibration=Calibration(tokenizer=…, texts=…)"
        )
    require_nncf()


def _finish(
    converted: Any,
    target: Path,
    precision: Precision,
    samples: list[dict[str, NDArray[np.int64]]] | None,
    float_products: list[str],
) -> dict[str, dict[str, int]]:
    """Quantize and compile in a child process: kernels that this CPU dies of end the child."""
    with TemporaryDirectory(dir=target.parent) as raw:  # swept with it after a kill
        source, texts = Path(raw) / "converted.xml", Path(raw) / "samples.npz"
        with naming_disk(target):
            import_openvino().save_model(converted, source, compress_to_fp16=False)
            if samples is not None:
                write_samples(texts, samples)
        arguments = {
            "source": str(source),
            "target": str(target),
            "precision": precision,
            "samples": None if samples is None else str(texts),
            "float_products": float_products,
        }
        try:
            counts = call_in_child("leanformer.runtime.openvino.graph:finish_graph", arguments)
        except ChildFailed as error:
            raise NoEffect(f"OpenVINO {precision}: {error}") from error
        return counts  # type: ignore[no-any-return]


def convert(graph: InferenceGraph) -> Any:
    """The torch graph as an OpenVINO model whose batch and token axes are dynamic."""
    openvino = import_openvino()
    example = example_inputs(graph)
    local, first = finite_local_attention(graph.model), first_token_alone(graph)
    with _quiet(), torch.no_grad(), local, first:
        converted = openvino.convert_model(exported(graph), example_input=example)
    named = zip(
        [*converted.inputs, *converted.outputs], [*graph.inputs, *graph.outputs], strict=True
    )
    for port, name in named:
        port.get_tensor().set_names({name})
    return converted


def compress_constants(converted: Any) -> None:
    """Store every fake-quantized weight as int8 with its scale, in place."""
    from openvino._offline_transformations import compress_quantize_weights_transformation

    compress_quantize_weights_transformation(converted)


def quantized_products(converted: Any) -> int:
    """How many products of the graph have an int8 weight: as many must run on integers.

    A pooler that the task does not need is no longer in the graph.
    """
    products = [node for node in converted.get_ops() if node.get_type_name() == "MatMul"]
    return sum(_is_integer(node.input_value(1).get_node()) for node in products)


def _is_integer(node: Any) -> bool:
    while node.get_type_name() in ("Multiply", "Subtract", "Convert", "FakeQuantize"):
        node = node.input_value(0).get_node()
    kind = node.get_element_type().get_type_name() if node.get_type_name() == "Constant" else ""
    return kind in ("i8", "u8")


def require_nncf() -> None:
    """Find the `nncf` package without importing it, which takes seconds.

    Raises:
        ImportError: It is not installed; the message names the command.
    """
    if sys.modules.get("nncf", ...) is None or find_spec("nncf") is None:
        raise ImportError("post-training quantization needs NNCF: pip install nncf")


def _nodes_of(converted: Any, layers: tuple[str, ...]) -> list[str]:
    """The products of some layers, by their names in the graph."""
    products = [n.get_friendly_name() for n in converted.get_ops() if n.get_type_name() == "MatMul"]
    chosen = {layer: [name for name in products if f".{layer}/" in name] for layer in layers}
    if unknown := [layer for layer, names in chosen.items() if not names]:
        raise ValueError(f"modules_to_not_convert: no linear layer is named {', '.join(unknown)}")
    return [name for names in chosen.values() for name in names]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings of the tracer about constant branches, and progress bars."""
    with silenced(), redirect_stdout(io.StringIO()), quiet():
        yield
