"""Proofs of which precision the matrix products really ran in, and of the size on disk.

A file that is a quarter of the size proves nothing about speed: a runtime may unpack the integers
and multiply in floating point. OpenVINO tells the truth in its runtime model, ONNX Runtime in the
operators of the optimized graph.
"""

from pathlib import Path

from torch import nn

from leanformer.core.proof import Proof
from leanformer.numerics.fake_linear import FakeQuantLinear

_RUNS_AS = {"fp32": ("f32",), "bf16": ("bf16",), "int8": ("i8", "u8")}
_SLACK = 1.1  # scales, biases and norms stay fp32
_CONSTANTS = 2**16  # position ids and shapes of the graph, in bytes


def attention_ran(counts: dict[str, int], *, asked: int) -> Proof:
    """The proof that `asked` attentions multiply queries and keys as signed integers.

    Their grids are symmetric, so only "i8" counts: a fused attention reports "u8" where just its
    mask is an integer.
    """
    ran = counts.get("i8", 0)
    return nodes_ran("attentions that multiply integers", ran, asked, "OpenVINO", _words(counts))


def kernels_ran(counts: dict[str, int], precision: str, *, asked: int, backend: str) -> Proof:
    """The proof that at least `asked` products ran in `precision` ("fp32", "bf16" or "int8")."""
    ran = sum(counts.get(name, 0) for name in _RUNS_AS[precision])
    claim = f"matrix products executed in {precision}"
    return nodes_ran(claim, ran, asked, backend, _words(counts))


def nodes_ran(claim: str, ran: int, asked: int, backend: str, words: str) -> Proof:
    """The proof that `asked` nodes, at least one, ran as claimed; `words` gives the counts."""
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
    modules_to_not_convert: tuple[str, ...] = (),
    graph: int = 0,
) -> Proof:
    """The proof that `file` is as small as `precision` says, next to the fp32 weights of `model`.

    Layers named in `modules_to_not_convert`, and linear layers without scales in a model that
    carries scales, count as fp32. `graph` bytes of the file are not weights.
    """
    before = sum(parameter.numel() for parameter in model.parameters()) * 4
    carries = any(isinstance(module, FakeQuantLinear) for module in model.modules())
    floats = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if name in modules_to_not_convert
        or (carries and isinstance(module, nn.Linear | nn.Embedding))
    )
    size = {"fp32": 4, "bf16": 2, "int8": 1}[precision]
    asked = (before // 4 - floats) * size + floats * 4
    after = file.stat().st_size - graph
    ok = after <= asked * _SLACK + _CONSTANTS
    return Proof(
        claim="weights on disk", before=before, after=after, unit="bytes", ok=ok, asked=asked
    )


def _words(counts: dict[str, int]) -> str:
    return (
        ", ".join(f"{count} {precision}" for precision, count in sorted(counts.items())) or "none"
    )
