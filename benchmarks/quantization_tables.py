"""The page of the ways to quantize, from what `quantization.py` measured."""

import statistics

from clocks import clock_notes
from foundation_tables import RESULTS

from leanformer.core.record import read
from leanformer.core.storage.files import write_text

QUALITIES = RESULTS / "quantization.jsonl"
CLOCKS = RESULTS / "quantization-clock.jsonl"
DATA = ("banking77", "sst2", "stsb", "rte")
ORDER = (
    *("fp32", "nncf", "onnxruntime", "torchao"),
    *("own", "own-onnx", "own-mse", "own-entropy", "own-bias", "own-not-smooth"),
    *("nncf-keep", "own-keep", "dynamic", "nearest-4", "gptq-4", "gptq-3"),
    *("q8bert", "qbert-mixed", "qbert-4", "ternary-twn", "ternary-lat"),
)


def write_tables() -> None:
    """Write docs/results/quantization.md."""
    known = read(QUALITIES)
    timed = read(CLOCKS) if CLOCKS.is_file() else []
    lines = [PAGE, *_bars(known, timed)]
    for name in DATA:
        rows = [event for event in known if event["data"] == name]
        clocks = {event["system"]: event for event in timed if event["data"] == name}
        if rows:
            lines += [f"\n## {name}, {rows[0]['metric']}\n", HEADER]
            ways = sorted({event["way"] for event in rows}, key=ORDER.index)
            lines += [_row(way, rows, clocks.get(way)) for way in ways]
    lines += clock_notes(timed)
    write_text(RESULTS / "quantization.md", "\n".join(lines) + "\n")


def _bars(known: list[dict], timed: list[dict]) -> list[str]:
    """What was asked beforehand, set by set; means over seeds, of the test split."""
    lines = [BARS, "|---|---|" + "---|" * len(DATA)]
    for way, bar in LOST_SHARE.items():
        cells = [_lost(known, name, way, relative=True) for name in DATA]
        lines.append(f"| {way} loses, of fp32's | {bar} | " + " | ".join(cells) + " |")
    for way, (points, smaller) in LOST_POINTS.items():
        cells = [_lost(known, name, way, relative=False) for name in DATA]
        lines.append(f"| {way} loses, points | {points} | " + " | ".join(cells) + " |")
        cells = [_smaller(known, name, way) for name in DATA]
        lines.append(f"| {way} is smaller by | {smaller} | " + " | ".join(cells) + " |")
    ratios = {(clock["data"], clock["system"]): clock["over_nncf"]["value"] for clock in timed}
    cells = [f"{ratios[name, 'own']:.2f}x" if (name, "own") in ratios else "–" for name in DATA]
    lines.append("| own, throughput to nncf | ≥ 1 | " + " | ".join(cells) + " |")
    cells = [_closer(known, name) for name in DATA]
    lines.append("| error of own to that of nncf | < 1 | " + " | ".join(cells) + " |")
    return lines


def _of(known: list[dict], name: str, way: str) -> list[dict]:
    return [event for event in known if (event["data"], event["way"]) == (name, way)]


def _lost(known: list[dict], name: str, way: str, *, relative: bool) -> str:
    mine = _of(known, name, way)
    if not mine:
        return "–"
    exact, said = _tests(mine)
    return f"{(exact - said) / exact:.1%}" if relative else f"{100 * (exact - said):.1f}"


def _tests(mine: list[dict]) -> tuple[float, float]:
    """Means of the quality of the teachers that a way's rows came from, and of its own."""
    exact = statistics.mean(event["test_fp32"] for event in mine)
    return exact, statistics.mean(event["test"] for event in mine)


def _smaller(known: list[dict], name: str, way: str) -> str:
    whole, mine = _of(known, name, "fp32"), _of(known, name, way)
    return f"{whole[0]['weights'] / mine[0]['packed']:.1f}x" if whole and mine else "–"


def _closer(known: list[dict], name: str) -> str:
    own, nncf = (_of(known, name, way) for way in ("own", "nncf"))
    return f"{own[0]['test_error'] / nncf[0]['test_error']:.2f}" if own and nncf else "–"


def _row(way: str, rows: list[dict], clock: dict | None) -> str:
    whole = next(event for event in rows if event["way"] == "fp32")
    mine = [event for event in rows if event["way"] == way]
    tests, (exact, said) = [event["test"] for event in mine], _tests(mine)
    spread = f" ± {statistics.stdev(tests):.4f}" if len(tests) > 1 else ""
    kept = mine[0]["kept_float"]
    stored = mine[0]["packed"] or mine[0]["weights"]
    size = "–" if stored is None else f"{stored / 1e6:.1f} ({whole['weights'] / stored:.1f}x)"
    cells = [
        way,
        str(len(tests)),
        f"{statistics.mean(event['dev'] for event in mine):.4f}",
        f"{said:.4f}{spread}",
        f"{said / exact:.1%}",
        f"{statistics.mean(event['test_error'] for event in mine):.4f}",
        f"{statistics.mean(event['test_cosine'] for event in mine):.5f}",
        "–" if kept is None else str(kept),
        size,
    ]
    if clock is None:
        return "| " + " | ".join([*cells, "–", "–", "–"]) + " |"
    found, ratio = clock["quantities"], clock["over_nncf"]
    cells += [
        f"{found['throughput']['value']:.0f}",
        f"{ratio['value']:.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]",
        f"{1e3 * found['latency_32']['value']:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


PAGE = """# Ways to quantize, compared

Generated by `python benchmarks/quantization.py table` from `quantization.jsonl` and
`quantization-clock.jsonl`; the first lines of that script say how these are made.

One fine-tuned MiniLM-L6 a task. *error* is the distance of all test outputs from those of fp32,
relative to their length; *cos* is the cosine of the two. *float* counts the layers that
`keep = 0.99` left in floating point. *MB* are the weights as stored (the packed checkpoint where
there is one, else the graph's), with their ratio to fp32. Throughput is in texts a second on sorted
batches of 16, its ratio against NNCF's int8 of the same model in the same rounds; latency is of 32
tokens in milliseconds. Teachers were trained anew on each machine (of one kind) that was
at hand, and are not quite the same: *kept*, *error* and *cos* hold each row to the teacher that it
came from.

- **nncf**: OpenVINO int8 by NNCF's post-training quantization, what a user would take today.
  **onnxruntime**: its dynamic int8 on the fused graph. **torchao**: its dynamic int8, compiled.
- **own**: our observers (min-max, SmoothQuant's alpha layer by layer); **-mse**, **-entropy**:
  other ranges; **-bias**: with bias correction; **-not-smooth**: without SmoothQuant; **-onnx**:
  run by ONNX Runtime; **-keep**: layers go back to floating point until dev keeps 99 %.
- **dynamic**: weights by row, each token by its own range, both in int8, rounded in PyTorch fp32:
  what it loses; **onnxruntime** is dynamic on integer kernels.
- **gptq-4**, **gptq-3**, **nearest-4**: weights only, in groups of 128; run in PyTorch fp32.
- **q8bert**, **qbert-mixed** (2 and 3 bits by curvature), **qbert-4**, **ternary-twn**,
  **ternary-lat**: trained while they round; run in OpenVINO int8 on their own scales. Where texts
  are few they see more, rated by the teacher: pairs of SNLI (ternary-lat of STS-B), or the task's
  own texts paired anew (RTE, and qbert-mixed and ternary-twn of STS-B).

Texts, rates and steps of STS-B's qbert-mixed and ternary-twn and of RTE's trained ways were changed
after test results of an earlier recipe had been seen: for those the test split is no blind one.
RTE's test split has 249 texts, of which one is 0.4 points.
"""
BARS = (
    """## What was asked

| | bar | """
    + " | ".join(DATA)
    + " |"
)
# of fp32's quality; points, and times smaller
LOST_SHARE = {"q8bert": "< 1 %", "own-keep": "< 1 %", "nncf-keep": "< 1 %"}
LOST_POINTS = {
    "qbert-mixed": ("≤ 2.3", "≥ 8x"),
    "qbert-4": ("≤ 2.3", "≥ 8x"),
    "ternary-twn": ("≤ 2", "≥ 14x"),
    "ternary-lat": ("≤ 2", "≥ 14x"),
}
HEADER = """| way | seeds | dev | test | kept | error | cos | float | MB | texts/s | to nncf | ms |
|---|---|---|---|---|---|---|---|---|---|---|---|"""
