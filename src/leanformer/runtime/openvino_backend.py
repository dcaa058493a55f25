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
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import nn

from leanformer.core.files import new_folder
from leanformer.core.processor import multiplies_int8_exactly
from leanformer.core.step import Proof, require
from leanformer.models.quiet import quiet
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.carry import carried_products, carried_scales
from leanformer.runtime.executed import (
    attention_precision,
    attention_ran,
    executed_precision,
    kernels_ran,
    stored_bytes,
)
from leanformer.runtime.graph import InferenceGraph, example_inputs
from leanformer.runtime.openvino_session import OpenVinoSession as OpenVinoSession
from leanformer.runtime.openvino_session import compile_openvino, import_openvino
from leanformer.runtime.session import Kind, Precision


def export_openvino(
    model: nn.Module,
    kind: Kind,
    folder: Path,
    *,
    precision: Precision = "fp32",
    pairs: bool = False,
    calibration: Calibration | None = None,
    keep_float: tuple[str, ...] = (),
    overwrite: bool = False,
) -> list[Proof]:
    """Write `model.xml` and `model.bin` into `folder` and prove what they execute.

    Args:
        model: A model with a head for `kind`; with `FakeQuantLinear` layers, their scales make the
            int8 graph.
        kind: The task; pooling and head become part of the graph.
        folder: The folder to make.
        precision: What to store and execute.
        pairs: Whether inputs are pairs of texts.
        calibration: Texts for NNCF's post-training quantization; needed for int8 unless the model
            carries scales.
        keep_float: Names of linear layers that stay in floating point (NNCF; a model that carries
            scales decided already).
        overwrite: Replace the folder if it exists.

    Returns:
        The proofs: in which precision the products really run, and how large the file is.

    Raises:
        ValueError: int8 was asked for, and there are neither scales nor texts to find them with.
        NoEffect: No product runs in the asked precision, or the file did not shrink as it must.
    """
    openvino = import_openvino()
    carries = carried_scales(model)
    if precision == "int8" and not carries and calibration is None:
        raise ValueError(
            "precision: int8 needs calibration texts, or a model that carries its own scales; "
            "pass calibration=Calibration(tokenizer=…, texts=…)"
        )
    graph = InferenceGraph(model, kind, pairs=pairs)
    converted = convert(graph)
    asked = 1
    if carries:
        compress_constants(converted)
        asked = max(1, quantized_products(converted))
    elif precision == "int8":
        assert calibration is not None
        converted = post_training_quantize(converted, graph, calibration, keep_float)
    with new_folder(folder, overwrite=overwrite) as temporary:
        path = temporary / "model.xml"
        openvino.save_model(converted, path, compress_to_fp16=precision == "bf16")
        compiled = compile_openvino(path, precision, threads=1)
        counts = executed_precision(compiled)
        proofs = [
            kernels_ran(counts, precision, asked=asked, backend="OpenVINO"),
            stored_bytes(path.with_suffix(".bin"), model, precision, keep_float),
        ]
        if integers := carried_products(model):
            proofs.append(attention_ran(attention_precision(compiled), asked=integers))
        return require(proofs)


def convert(graph: InferenceGraph) -> Any:
    """The torch graph as an OpenVINO model whose batch and token axes are dynamic."""
    openvino = import_openvino()
    example = example_inputs(graph)
    with _quiet(), torch.no_grad():
        converted = openvino.convert_model(graph, example_input=example)
    for port, name in zip(converted.inputs, graph.inputs, strict=True):
        port.get_tensor().set_names({name})
    converted.outputs[0].get_tensor().set_names({"output"})
    return converted


def post_training_quantize(
    converted: Any, graph: InferenceGraph, calibration: Calibration, keep_float: tuple[str, ...]
) -> Any:
    """NNCF's static int8 with SmoothQuant and bias correction, calibrated on the caller's texts."""
    nncf = import_nncf()
    samples = list(calibration.arrays(graph.inputs))
    scope = nncf.IgnoredScope(names=_nodes_of(converted, keep_float)) if keep_float else None
    fix = None if multiplies_int8_exactly() else nncf.OverflowFix.ENABLE
    with _quiet():
        return nncf.quantize(
            converted,
            nncf.Dataset(samples),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(samples),
            ignored_scope=scope,
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=fix),
        )


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


def import_nncf() -> Any:
    """The `nncf` package, with its banners off.

    Raises:
        ImportError: It is not installed; the message names the command.
    """
    try:
        import nncf
    except ImportError as error:
        raise ImportError("post-training quantization needs NNCF: pip install nncf") from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


def _nodes_of(converted: Any, layers: tuple[str, ...]) -> list[str]:
    products = [n.get_friendly_name() for n in converted.get_ops() if n.get_type_name() == "MatMul"]
    chosen = {layer: [name for name in products if f".{layer}/" in name] for layer in layers}
    if unknown := [layer for layer, names in chosen.items() if not names]:
        raise ValueError(f"keep_float: no linear layer is named {', '.join(unknown)}")
    return [name for names in chosen.values() for name in names]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings of the tracer about constant branches, and progress bars."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), quiet():
        warnings.simplefilter("ignore")
        yield
