"""Mechanisms of attention against torch's dense one, side by side on this machine.

All take turns, round by round, and what counts is the ratio within a round (see
`leanformer.measure.interleave`). Nothing is timed that does not first equal its own reference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from leanformer.attention.bench.peak import peak_bytes
from leanformer.attention.bench.workload import System, Workload, dense, inputs
from leanformer.attention.mechanism import Mechanism
from leanformer.core.quantity import Quantity
from leanformer.measure.environment import environment
from leanformer.measure.interleave import Timing, interleave, speedup, spread

CHECKED = 300  # tokens on which a mechanism is held against its reference
PADDED = 0.25  # share of padding where texts are timed with it
DENSE = "dense"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One mechanism at one length.

    Attributes:
        name: Of the mechanism; `DENSE` for torch's own.
        mechanism: Itself; None for torch's own.
        work: What was timed.
        seconds: Wall time of a call.
        ratio: Of its wall time to dense attention's in the same round: below 1 it is faster.
        cpu: The same of CPU time, which a machine that others use distorts less.
        peak: Bytes at the peak, beyond queries, keys and values; None = not measured.
        flops: Floating point operations of the forward pass as its cost formula counts them.
    """

    name: str
    mechanism: Mechanism | None
    work: Workload
    seconds: Quantity
    ratio: Quantity
    cpu: Quantity
    peak: int | None
    flops: int | None


def measure(
    mechanisms: Mapping[str, Mechanism], work: Workload, *, rounds: int = 7, memory: bool = True
) -> Iterator[Measured]:
    """Time mechanisms and dense attention in turn.

    Mechanisms that cannot be causal are left out of causal work.

    Args:
        mechanisms: By name.
        work: What to time.
        rounds: How often each runs.
        memory: Whether peak memory is measured too, in a process each.

    Raises:
        ValueError: A mechanism does not equal its reference on this machine.
    """
    able = {
        name: mechanism
        for name, mechanism in mechanisms.items()
        if not (work.causal and mechanism.capabilities.causal == "no")
    }
    systems: dict[str, System] = {DENSE: dense(work)}
    for name, mechanism in able.items():
        check(name, mechanism, work)
        systems[name] = mechanism.build(work.heads).to(work.device).eval()
    timings = interleave(
        {name: work.call(system) for name, system in systems.items()}, rounds=rounds, warmup=1
    )
    for name in systems:
        one = able.get(name)
        yield Measured(
            name=name,
            mechanism=one,
            work=work,
            seconds=timings[name].seconds(),
            ratio=speedup(timings[name], timings[DENSE]),
            cpu=_cpu(timings[name], timings[DENSE]),
            peak=peak_bytes(one, work) if memory else None,
            flops=None if one is None else one.cost(work.heads, work.length).flops * work.num_heads,
        )


def here(device: str) -> dict[str, Any]:
    """The environment of what is measured on a device of this machine; of a GPU its name too."""
    found = environment(torch.get_num_threads())
    if device.startswith("cuda"):
        return {**found, "gpu": torch.cuda.get_device_name(torch.device(device))}
    return found


def _cpu(one: Timing, other: Timing) -> Quantity:
    rounds = zip(one.calls, other.calls, strict=True)
    return spread([a.cpu / b.cpu for a, b in rounds], "x")


def check(name: str, mechanism: Mechanism, work: Workload) -> None:
    """Hold a mechanism against its reference on a short text.

    Raises:
        ValueError: They differ.
    """
    short = replace(work, length=min(CHECKED, work.length), backward=False, device="cpu")
    attention = mechanism.build(short.heads).eval()
    query, key, value = inputs(short)
    keep = short.keep_BS
    if keep is None:
        keep = torch.ones(short.batch, short.length, dtype=torch.bool)
    at = torch.arange(short.length).expand(short.batch, -1)
    with torch.no_grad():
        found = attention(query, key, value, short.keep_BS)
        expected = attention.reference(query, key, value, keep, at, scaling=short.head_dim**-0.5)
    found, expected = (x.transpose(1, 2)[keep] for x in (found, expected))
    off = float((found - expected).abs().max() / expected.abs().max())
    if not off < 1e-3:
        raise ValueError(
            f"{name}: its fast form is {off:.1e} of its largest output away from its reference on "
            "this machine; no time is reported for it"
        )
