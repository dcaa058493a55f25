"""Prove that a model became smaller: by counting, and by timing it."""

import time
from typing import Any

import torch
from torch import nn

from leanformer.core.machine.device import on_cpu
from leanformer.core.proof import Proof
from leanformer.measure.flops import flops_per_token
from leanformer.models.anatomy.shape import Shape, shape_of

_TOKENS = 128
_ROUNDS = 15
_TIMEABLE = 200e6  # FLOPs; about a millisecond, what the overhead of eager calls can hide


def prove_smaller(before: nn.Module, after: nn.Module) -> list[Proof]:
    """Parameters of the layers, bytes, FLOPs and latency of `after` against `before`.

    Latency is that of PyTorch with one text of 128 tokens on the CPU, wherever the models are,
    calling both in turn. It must fall; by how much is measured at the end of a recipe.
    """
    rows = [
        (
            "parameters of the layers",
            "",
            shape_of(before).encoder_parameters,
            shape_of(after).encoder_parameters,
        ),
        ("bytes of the weights", "bytes", _bytes(before), _bytes(after)),
        ("operations at 1 x 128 tokens", "FLOP", _flops(before), _flops(after)),
    ]
    proofs = [
        Proof(claim=claim, before=old, after=new, unit=unit, ok=new < old)
        for claim, unit, old, new in rows
    ]
    proofs.append(_latency_proof(before, after, old_flops=rows[2][2], new_flops=rows[2][3]))
    return proofs


def prove_units(
    before: Shape, after: Shape, kept: list[int], heads: float, ffn: float, multiple: int
) -> list[Proof]:
    """Prove that as many units were removed as asked for, up to rounding; layers exactly.

    Args:
        before: The shape of the whole model.
        after: The shape of the cut model.
        kept: The layers to keep.
        heads: Share of their heads to keep.
        ffn: Share of their neurons to keep.
        multiple: What FFN widths are rounded to.
    """
    all_heads = sum(before.heads[layer] for layer in kept)
    all_neurons = sum(before.ffn[layer] for layer in kept)
    rows = [
        ("layers", before.layers, after.layers, float(len(kept)), 0.0),
        ("attention heads", sum(before.heads), sum(after.heads), heads * all_heads, len(kept)),
        ("FFN neurons", sum(before.ffn), sum(after.ffn), ffn * all_neurons, multiple * len(kept)),
    ]
    return [
        Proof(
            claim=claim,
            before=old,
            after=new,
            unit="",
            asked=asked,
            ok=abs(new - asked) <= off,
            note=f"layers {', '.join(map(str, kept))} kept" if claim == "layers" else "",
        )
        for claim, old, new, asked, off in rows
        if asked < old
    ]


def _latency_proof(before: nn.Module, after: nn.Module, old_flops: int, new_flops: int) -> Proof:
    old_s, new_s = _latencies(on_cpu(before), on_cpu(after))
    timeable = old_flops - new_flops > _TIMEABLE
    return Proof(
        claim="latency at 1 x 128 tokens",
        before=old_s,
        after=new_s,
        unit="s",
        ok=new_s < old_s or not timeable,
        asked=old_s * new_flops / old_flops,
        note="PyTorch fp32 eager, fastest of interleaved calls; asked for is the share of FLOPs"
        + ("" if timeable else "; too few FLOPs were removed to be seen in the time"),
    )


def _bytes(model: nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def _inputs(model: Any) -> dict[str, torch.Tensor]:
    width = min(_TOKENS, getattr(model.config, "max_position_embeddings", _TOKENS) - 2)
    ids = torch.arange(5, 5 + width).remainder(model.config.vocab_size).unsqueeze(0)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _flops(model: Any) -> int:
    return round(flops_per_token(model, tokens=_TOKENS).value * _TOKENS)


def _latencies(before: nn.Module, after: nn.Module) -> tuple[float, float]:
    inputs = _inputs(before)
    times: tuple[list[float], list[float]] = ([], [])
    with torch.no_grad():
        for _ in range(_ROUNDS):
            for model, seen in zip((before, after), times, strict=True):
                model.eval()
                started = time.perf_counter()
                model(**inputs)
                seen.append(time.perf_counter() - started)
    return min(times[0]), min(times[1])
