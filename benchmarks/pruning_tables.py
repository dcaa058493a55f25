"""The page of the ways to prune, from what `pruning.py` measured."""

import statistics

from clocks import clock_notes
from foundation_tables import RESULTS

from leanformer.core.record import read
from leanformer.core.storage.files import write_text

QUALITIES = RESULTS / "pruning.jsonl"
CLOCKS = RESULTS / "pruning-clock.jsonl"
DATA = ("sst2", "banking77", "rte")
ORDER = (
    *("teacher", "sparse-gpt", "magnitude", "movement", "surgeon", "blocks", "block-magnitude"),
    *("depth", "width", "heads", "half", "third", "third-of-half", "narrow", "wide"),
)
STORED = ("sparse-gpt", "magnitude", "movement", "surgeon")  # sparse: small, and run in fp32


def write_tables() -> None:
    """Write docs/results/pruning.md."""
    known = read(QUALITIES)
    clocks = read(CLOCKS) if CLOCKS.is_file() else []
    lines = [PAGE, *_bars(known, clocks)]
    for name in DATA:
        rows = [e for e in known if e["event"] == "quality" and e["data"] == name]
        if rows:
            lines += [f"\n## {name}, {rows[0]['metric']}\n", HEADER, *_rows(name, rows, clocks)]
        tickets = [e for e in known if e["event"] == "ticket" and e["data"] == name]
        if tickets:
            lines += [f"\n### Lottery tickets of {name}\n", *_tickets(tickets)]
        barriers = [e["barrier"] for e in known if e["event"] == "barrier" and e["data"] == name]
        if barriers:
            lines.append(
                "\nBetween the ends of two trainings from the step of rewinding, with the data in "
                f"another order, dev falls by {_spread(barriers)}."
            )
    lines += clock_notes(clocks)
    write_text(RESULTS / "pruning.md", "\n".join(lines) + "\n")


def _bars(known: list[dict], clocks: list[dict]) -> list[str]:
    """What was asked beforehand, set by set; means over seeds."""
    lines = [BARS, "|---|---|" + "---|" * len(DATA)]
    for share, bar in BLOCKS.items():
        mine = [e for e in known if (e.get("way"), e.get("share")) == ("blocks", share)]
        asked = [[event for event in mine if event["data"] == name] for name in DATA]
        cells = [f"{_kept(one, 'test_int8'):.1%}" if one else "–" for one in asked]
        lines.append(f"| blocks, {share:.0%} of the weights, keep | {bar} | {' | '.join(cells)} |")
    for least, bar in FASTEST.items():
        cells = [_fastest(name, known, clocks, least) for name in DATA]
        lines.append(f"| fastest that keeps {least:.0%} | {bar} | {' | '.join(cells)} |")
    cells = [_margin([e for e in known if e["data"] == name]) for name in DATA]
    told = "tickets over random weights, a fifth left, points on dev"
    return [*lines, f"| {told} | beyond the spread | {' | '.join(cells)} |"]


def _kept(mine: list[dict], split: str) -> float:
    """The share of their teachers' quality that the models of a way keep."""
    exact = statistics.mean(event["whole"][split] for event in mine)
    return statistics.mean(event[split] for event in mine) / exact


def _fastest(name: str, known: list[dict], clocks: list[dict], least: float) -> str:
    """The fastest way that keeps so much of its teachers' quality, and how much faster it is."""
    faster = _faster(name, clocks)
    mine = [e for e in known if e["event"] == "quality" and e["data"] == name]
    made: dict[str, list[dict]] = {}
    for event in mine:
        made.setdefault(_label(event["way"], event["share"]), []).append(event)
    good = {
        label: faster[label]["value"]
        for label, events in made.items()
        if label in faster and _kept(events, "test_int8") >= least
    }
    best = max(good, key=lambda label: good[label], default=None)
    return "–" if best is None else f"{good[best]:.2f}x, {best}"


def _faster(name: str, clocks: list[dict]) -> dict[str, dict]:
    """Throughputs over the teacher's, by system; of several clocks the last."""
    return {c["system"]: c["over_teacher"] for c in clocks if c["data"] == name}


def _label(way: str, share: float | None) -> str:
    """What a clocked system is called."""
    return way if share is None else f"{way}-{share:g}"


def _margin(events: list[dict]) -> str:
    """How much better tickets are than their masks on random weights, in the last round."""
    found = {(e["seed"], e["round"], e["way"]): e["quality"] for e in events if "round" in e}
    last = max((number for _, number, _ in found), default=0)
    points = [
        100 * (found[seed, last, "ticket"] - found[seed, last, "random-weights"])
        for seed in sorted({seed for seed, _, _ in found})
        if (seed, last, "random-weights") in found
    ]
    if not points:
        return "–"
    spread = f" ± {statistics.stdev(points):.1f}" if len(points) > 1 else " (one seed)"
    return f"{statistics.mean(points):.1f}{spread}"


def _rows(name: str, rows: list[dict], clocks: list[dict]) -> list[str]:
    whole = next(event for event in rows if event["way"] == "teacher")
    faster = _faster(name, clocks)
    lines = []
    for way, share in sorted({(e["way"], e["share"]) for e in rows}, key=_place):
        mine = [e for e in rows if (e["way"], e["share"]) == (way, share)]
        split = "test_int8" if way not in ("teacher", *STORED) else "test"  # what is served
        tests = [event[split] for event in mine]
        speed = faster.get(_label(way, share))
        cells = [
            way,
            "–" if share is None else f"{share:.0%}",
            str(len(mine)),
            f"{statistics.mean(event[split.replace('test', 'dev')] for event in mine):.4f}",
            _spread(tests),
            f"{_kept(mine, split):.1%}",
            f"{whole['stored'] / statistics.mean(e['stored'] for e in mine):.1f}x",
            "–" if speed is None else "{value:.2f}x [{low:.2f}, {high:.2f}]".format(**speed),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _place(row: tuple[str, float | None]) -> tuple[int, float]:
    """Where a way stands in the table, its shares falling."""
    return ORDER.index(row[0]), -(row[1] or 0)


def _tickets(events: list[dict]) -> list[str]:
    ways = list(dict.fromkeys(event["way"] for event in events if event["way"] != "dense"))
    dense = statistics.mean(e["quality"] for e in events if e["way"] == "dense")
    lines = [
        f"The whole model: {dense:.4f} on dev.\n",
        "| weights left | " + " | ".join(ways) + " |",
        "|---|" + "---|" * len(ways),
    ]
    for number in sorted({event["round"] for event in events} - {0}):
        mine = [event for event in events if event["round"] == number]
        cells = [f"{mine[0]['kept']:.1%}"]
        cells += [_spread([e["quality"] for e in mine if e["way"] == way]) for way in ways]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _spread(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


PAGE = """# Ways to prune, compared

Generated by `python benchmarks/pruning.py table` from `pruning.jsonl` and `pruning-clock.jsonl`;
the first lines of that script say how these are made.

One fine-tuned MiniLM-L6 a task; trainings of 600 steps of 32 texts (SST-2), 1,200 (Banking77) and
1,000 (RTE, with SNLI's pairs as texts without labels). *share* is of the weights of its layers'
linear maps that is left, *smaller* the ratio of the files' sizes (sparse ones hold bitmaps and
values; embeddings are in both, and are half of this model), *kept* the share of the teacher's
quality on test.

- **sparse-gpt**: without training. **magnitude**, **movement**, **surgeon** (optimal brain surgeon
  in blocks of 8): gradually while the teacher teaches. PyTorch fp32 beside the teacher in fp32:
  zeros in a dense matrix are stored small and run no faster.
- **blocks**: movement of neurons and blocks of 32 x 32; what is empty is cut out.
  **block-magnitude**: the same by magnitude. **depth**, **width**, **heads**: 4 of 6 layers, 7/24
  of the neurons, 2 of 12 heads, which take about the same time. **half**: half of the layers and
  neurons; **third**: 2 layers, half of the neurons and heads. In two stages, *half* first, each
  taught as long as the others: **third-of-half**, the shape of *third*; **narrow**, 3 layers with a
  third of the heads and a quarter of the neurons; **wide**, the same with half of the heads.
  All in OpenVINO's int8 beside the teacher in int8; *faster* is their throughput over its. The
  foundation's page has `half` and `third` of SST-2 and Banking77, taught longer: there they keep
  99 % and 97 % at more than 2 and 3.5 times the throughput. RTE's test has 249 texts: one of them
  is 0.6 % of what its teacher reaches.

Teachers were trained anew on each machine (of one kind) that was at hand, and are not quite the
same: *kept* holds each row to the teacher that it came from.
"""
BARS = f"## What was asked\n\n| | bar | {' | '.join(DATA)} |"
FASTEST = {0.99: "≥ 2x", 0.97: "≥ 3.5x"}  # share of the quality: throughput over the teacher's
BLOCKS = {0.15: "≥ 95 %", 0.05: "≥ 90 %"}  # share of the weights: of the teacher's quality
HEADER = """| way | share | seeds | dev | test | kept | smaller | faster |
|---|---|---|---|---|---|---|---|"""
