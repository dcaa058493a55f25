"""The hardware lottery, measured: from which density on does a sparse product beat a dense one?

    python benchmarks/sparse_products.py run      (on a quiet machine! some three minutes)
    python benchmarks/sparse_products.py table    (writes docs/results/sparse-products.md)

One linear map on 512 tokens, fp32, in four forms of the same number of weights that are not
zero: `dense` holds the zeros, `csr` leaves single weights out, `bsr` whole tiles of 32 x 32, and
`smaller` is what structured pruning makes: a dense matrix of fewer rows. All take turns.
"""

import argparse
import json
import warnings

import torch
from foundation_tables import RESULTS

from leanformer.core.record import Record, read
from leanformer.core.storage.files import write_text
from leanformer.measure.environment import environment
from leanformer.measure.interleave import interleave, speedup

MEASURED = RESULTS / "sparse-products.jsonl"
SHAPES = ((1536, 384), (3072, 768), (1024, 1024))
DENSITIES = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
TOKENS = 512
TILE = 32
FORMS = ("csr", "bsr", "smaller")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table"])
    asked = parser.parse_args()
    if asked.what == "table":
        write_table()
        return
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for out, into in SHAPES:
        for density in DENSITIES:
            measure(out, into, density, device)


def measure(out: int, into: int, density: float, device: str) -> None:
    """Time the four forms of one matrix at one density, and append what was found."""
    torch.manual_seed(0)
    x_IT = torch.randn(into, TOKENS, device=device)
    single = torch.randn(out, into, device=device) * kept(out, into, density, 1).to(device)
    tiled = torch.randn(out, into, device=device) * kept(out, into, density, TILE).to(device)
    csr, bsr = single.to_sparse_csr(), tiled.to_sparse_bsr((TILE, TILE))
    smaller = torch.randn(max(1, round(out * density)), into, device=device)
    torch.testing.assert_close(csr @ x_IT, single @ x_IT, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(bsr @ x_IT, tiled @ x_IT, rtol=1e-3, atol=1e-3)
    matrices = {"dense": single, "csr": csr, "bsr": bsr, "smaller": smaller}

    def product(matrix: torch.Tensor):
        def call() -> None:
            matrix @ x_IT
            if device == "cuda":
                torch.cuda.synchronize()

        return call

    timings = interleave({name: product(m) for name, m in matrices.items()}, rounds=31, warmup=5)
    Record(MEASURED).write(
        "product",
        out=out,
        into=into,
        density=density,
        device=device,
        seconds=timings["dense"].seconds(),
        over_dense={name: speedup(timings["dense"], timings[name]) for name in FORMS},
        threads=torch.get_num_threads(),
        environment=environment(),
    )


def kept(out: int, into: int, density: float, tile: int) -> torch.Tensor:
    """A mask of tiles, exactly the asked share of them, [out, into]."""
    rows, columns = out // tile, into // tile
    mask = torch.zeros(rows * columns)
    mask[torch.randperm(rows * columns)[: max(1, round(density * rows * columns))]] = 1
    return mask.reshape(rows, columns).repeat_interleave(tile, 0).repeat_interleave(tile, 1)


def write_table() -> None:
    """Write docs/results/sparse-products.md."""
    events = read(MEASURED)
    lines = [PAGE]
    for device, out, into in dict.fromkeys((e["device"], e["out"], e["into"]) for e in events):
        rows = [e for e in events if (e["device"], e["out"], e["into"]) == (device, out, into)]
        rows = list({e["density"]: e for e in rows}.values())  # the last run counts
        lines += [f"\n## {out} x {into} on {device}, {rows[0]['threads']} threads\n", HEADER]
        lines += [row(event) for event in rows]
        lines.append(f"\n{crossovers(rows)}")
    machines = {json.dumps(e["environment"], sort_keys=True) for e in events}
    lines += [f"\nMachine: `{machine}`" for machine in sorted(machines)]
    write_text(RESULTS / "sparse-products.md", "\n".join(lines) + "\n")


def row(event: dict) -> str:
    """One density."""
    found = [event["over_dense"][name] for name in FORMS]
    times = [f"{q['value']:.2f}x [{q['low']:.2f}, {q['high']:.2f}]" for q in found]
    cells = [f"{event['density']:.0%}", f"{1e3 * event['seconds']['value']:.2f}", *times]
    return "| " + " | ".join(cells) + " |"


def crossovers(rows: list[dict]) -> str:
    """The highest density from which on, downwards, each form beats the dense product."""
    words = []
    for name in ("csr", "bsr"):
        best = None
        for event in sorted(rows, key=lambda e: e["density"]):
            if event["over_dense"][name]["value"] <= 1:
                break
            best = event["density"]
        words.append(f"`{name}` {'nowhere' if best is None else f'from {best:.0%} downwards'}")
    return f"Faster than dense: {', '.join(words)}."


PAGE = """# When a sparse matrix is faster, and when it saves only storage

Generated by `python benchmarks/sparse_products.py table` from `sparse-products.jsonl`; the first
lines of that script say how it is made.

Ratios are of the wall time of the dense product with the zeros in it to that of the other form
with as many weights: above 1 the other form is faster. `smaller` is the same number of weights in a
dense matrix of fewer rows: what `shrink` makes.
"""
HEADER = """| density | dense, ms | csr | bsr 32 x 32 | smaller |
|---|---|---|---|---|"""


if __name__ == "__main__":
    main()
