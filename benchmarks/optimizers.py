"""What an optimizer step costs: torch's three ways to compute it, and the optimizers side by side.

    python benchmarks/optimizers.py clock     (on a quiet machine! some five minutes; 7 GB)
    python benchmarks/optimizers.py page      (writes docs/results/optimizers.md)

Two sets of parameters in fp32: those of BERT-base (12 layers of width 768), where memory is what a
step waits for, and 500 tiny tensors, where it waits for the calls. All take turns on the same
parameters and gradients, each with its own state. Before anything is timed, the ways of an
optimizer must give the same weights.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from foundation_tables import RESULTS
from moved_bytes import moved_bytes
from optimizers_page import write_page
from torch import nn

from leanformer.core.record import Record
from leanformer.measure.environment import environment
from leanformer.measure.interleave import interleave, speedup
from leanformer.train.optimizers import AdamW, Lamb, Lars, Sgd
from leanformer.train.optimizers.interface import Group, Optimizer

MEASURED = RESULTS / "optimizers.jsonl"
RATE = 1e-6
WAYS = ("for-loop", "foreach", "fused")
LAMB_WAYS = ("for-loop", "fused")
MADE: dict[str, Optimizer] = {
    **{f"AdamW, {way}": AdamW(learning_rate=RATE, implementation=way) for way in WAYS},
    **{f"SGD, {way}": Sgd(learning_rate=RATE, implementation=way) for way in WAYS},
    **{f"LAMB, {way}": Lamb(learning_rate=RATE, implementation=way) for way in LAMB_WAYS},
    "LARS": Lars(learning_rate=RATE),
}
NUMBERS = {"AdamW": 7, "SGD": 5, "LAMB": 10, "LARS": 7}
"""Numbers per weight that must be read or written; the page says which."""
COPY = "copy"
BERT = {"layers": 12, "width": 768, "vocabulary": 30522, "positions": 512}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["clock", "page"])
    parser.add_argument("--layers", type=int, default=BERT["layers"])
    parser.add_argument("--tensors", type=int, default=500, help="how many tiny ones")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=MEASURED)
    asked = parser.parse_args()
    if asked.what == "page":
        write_page(asked.out)
        return
    check()
    for name, shapes in sets(asked.layers, asked.tensors).items():
        clock(name, shapes, asked.rounds, asked.out)


def sets(layers: int, tensors: int) -> dict[str, list[tuple[int, ...]]]:
    """The shapes of the parameters of each set."""
    width, inner = BERT["width"], 4 * BERT["width"]
    norm = [(width,), (width,)]
    layer = [(width, width), (width,)] * 4 + norm
    layer += [(inner, width), (inner,), (width, inner), (width,), *norm]
    embeddings = [(BERT["vocabulary"], width), (BERT["positions"], width), (2, width), *norm]
    return {
        f"{layers} x {width}": [*embeddings, *(layer * layers), (width, width), (width,)],
        f"{tensors} tiny tensors": [(16, 16), (16,)] * (tensors // 2),
    }


def check() -> None:
    """Refuse to time ways of one optimizer that do not give the same weights."""
    for family, ways in ((AdamW, WAYS), (Sgd, WAYS), (Lamb, LAMB_WAYS)):
        ends = []
        for way in ways:
            weights = parameters([(31, 17), (13,)], "cpu")
            made = family(learning_rate=0.1, implementation=way)
            optimizer = made.build(grouped(weights))
            for _ in range(3):
                optimizer.step()
            ends.append(torch.cat([weight.detach().flatten() for weight in weights]))
        for end in ends[1:]:
            torch.testing.assert_close(end, ends[0], rtol=0, atol=1e-6)


def clock(name: str, shapes: Sequence[tuple[int, ...]], rounds: int, out: Path) -> None:
    """Time a step of each optimizer on one set of parameters, and append what was found."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    weights = parameters(shapes, device)
    elements = sum(weight.numel() for weight in weights)
    source = torch.ones(elements, device=device)
    target = torch.zeros_like(source)
    steps = {key: made.build(grouped(weights)).step for key, made in MADE.items()}
    for step in steps.values():
        step()  # the first one makes the state
    counted = {key: moved_bytes(step) for key, step in steps.items()}
    calls = {COPY: waited(lambda: target.copy_(source), device)}
    calls |= {key: waited(step, device) for key, step in steps.items()}
    timings = interleave(calls, rounds=rounds, warmup=2, tell=print)
    for key in MADE:
        family = key.split(",")[0]
        slow = timings["SGD, for-loop" if family in ("SGD", "LARS") else "AdamW, for-loop"]
        Record(out).write(
            "step",
            parameters=name,
            tensors=len(weights),
            elements=elements,
            optimizer=key,
            seconds=timings[key].seconds(),
            over_loop=speedup(slow, timings[key]),
            over_copy=speedup(timings[COPY], timings[key]),
            copy_seconds=timings[COPY].seconds(),
            contended=timings[key].contended,
            bytes_least=4 * NUMBERS[family] * elements,
            bytes_counted=counted[key][0],
            operations=counted[key][1],
            device=device,
            threads=torch.get_num_threads(),
            environment=environment(),
        )


def parameters(shapes: Sequence[tuple[int, ...]], device: str) -> list[nn.Parameter]:
    """Random parameters with random gradients."""
    torch.manual_seed(0)
    weights = [nn.Parameter(0.02 * torch.randn(shape, device=device)) for shape in shapes]
    for weight in weights:
        weight.grad = 1e-3 * torch.randn_like(weight)
    return weights


def grouped(weights: Sequence[nn.Parameter]) -> list[Group]:
    """Matrices decay, vectors do not."""
    named = [(str(place), weight) for place, weight in enumerate(weights)]
    matrices = [pair for pair in named if pair[1].dim() > 1]
    return [
        Group(matrices, decays=True),
        Group([pair for pair in named if pair[1].dim() < 2], decays=False),
    ]


def waited(call: Callable[[], object], device: str) -> Callable[[], None]:
    """`call`, and what it started on a GPU."""

    def done() -> None:
        call()
        if device == "cuda":
            torch.cuda.synchronize()

    return done


if __name__ == "__main__":
    main()
