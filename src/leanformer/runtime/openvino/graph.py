"""Quantize and compile a converted OpenVINO graph, and count its kernels.

All of this executes kernels on the CPU at hand, so `export_openvino` calls it in a child process.
Arguments and results are values that JSON can hold, and nothing here needs torch.
"""

import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from leanformer.core.machine.processor import multiplies_int8_exactly
from leanformer.core.storage.disk import naming_disk
from leanformer.runtime.openvino.session import import_openvino, openvino_pins
from leanformer.runtime.session import Precision

_WITH_WEIGHT, _WITH_ACTIVATION = "FullyConnected", "MatMul"
_ATTENTION = "ScaledDotProductAttention"


def finish_graph(
    source: str, target: str, precision: Precision, samples: str | None, float_products: list[str]
) -> dict[str, dict[str, int]]:
    """Write the graph at `source` to `target` as it is served, and tell what it executes.

    Args:
        source: The XML file as it was converted.
        target: The XML file to write; its weights go beside it.
        precision: What is executed; "bf16" stores weights in fp16.
        samples: A file of calibration inputs for NNCF's int8 (see `write_samples`); None = do not
            quantize.
        float_products: Names of products in the graph that stay in floating point.

    Returns:
        Counts of products with a weight ("weights") and of activations ("attention"), each by
        executed precision.
    """
    openvino = import_openvino()
    graph = openvino.Core().read_model(source)
    if samples is not None:
        graph = post_training_quantize(graph, read_samples(Path(samples)), float_products)
    with naming_disk(Path(target)):
        openvino.save_model(graph, target, compress_to_fp16=precision == "bf16")
    compiled = openvino.Core().compile_model(target, "CPU", openvino_pins(precision, 1))
    return {"weights": executed_precision(compiled), "attention": attention_precision(compiled)}


def post_training_quantize(
    graph: Any, samples: list[dict[str, np.ndarray]], float_products: list[str]
) -> Any:
    """NNCF's static int8 with SmoothQuant and bias correction, calibrated on the caller's texts."""
    os.environ.setdefault("NNCF_CI", "1")  # it would report its use over the network
    with _without_torch():
        import nncf

        logging.getLogger("nncf").setLevel(logging.ERROR)
        fix = None if multiplies_int8_exactly() else nncf.OverflowFix.ENABLE
        return nncf.quantize(
            graph,
            nncf.Dataset(samples),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(names=float_products) if float_products else None,
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=fix),
        )


@contextmanager
def _without_torch() -> Iterator[None]:
    """Hide PyTorch from NNCF, which would import it for seconds to quantize a graph without it."""
    if "torch" in sys.modules:
        yield  # it is the caller's own
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]


def write_samples(file: Path, samples: list[dict[str, np.ndarray]]) -> None:
    """Calibration inputs, one text per sample, for a process that reads them back."""
    arrays = {f"{index}/{name}": a for index, one in enumerate(samples) for name, a in one.items()}
    np.savez(file, **arrays)  # type: ignore[arg-type]


def read_samples(file: Path) -> list[dict[str, np.ndarray]]:
    """What `write_samples` wrote."""
    samples: dict[int, dict[str, np.ndarray]] = {}
    with np.load(file, allow_pickle=False) as arrays:
        for key in arrays.files:
            index, _, name = key.partition("/")
            samples.setdefault(int(index), {})[name] = arrays[key]
    return [samples[index] for index in sorted(samples)]


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


def _count(compiled: Any, chosen: Callable[[Any], bool]) -> dict[str, int]:
    """The chosen nodes of the executed graph by their precision."""
    infos = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    return dict(Counter(i["runtimePrecision"].value.lower() for i in infos if chosen(i)))
