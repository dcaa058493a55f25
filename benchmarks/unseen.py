"""A quarter of an hour on one core: what `compress` finds on sets that it was not developed on.

    python benchmarks/unseen.py search snli imdb rte    (15 minutes each; goes on where it stopped)
    python benchmarks/unseen.py clock snli imdb rte     (on a quiet machine! a minute each)
    python benchmarks/unseen.py page                    (writes docs/results/unseen.md)

`search` is what a user types: `leanformer compress MiniLM DATA --keep 0.97 --minutes 15` on one
thread, the fine-tuning of the teacher included. `clock` has what was chosen and the int8 teacher
(with Hugging Face's tokenizer and graph) answer texts of the test split in turn, from strings.
SNLI's dev split is what is trained on, because its training split is not at hand; of IMDB's
reviews the first 10,000 of the training split.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rivals import show
from rivals_sets import MINILM, ROOT, SHARED
from rivals_teachers import plain_teacher

from leanformer.core.record import Record, read
from leanformer.core.storage.files import write_text
from leanformer.data import Source
from leanformer.measure.environment import environment
from leanformer.measure.systems import measure_systems
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.serving.predictor import Predictor
from leanformer.search import Request, compress
from leanformer.search.entry import INT8_TEACHER, TEACHER

RESULTS = ROOT / "docs" / "results" / "unseen.jsonl"
PLACE = ROOT / "runs" / "unseen"
KEEP, MINUTES, BAR = 0.97, 15.0, 2.0
TEXTS, ROUNDS = 128, 7


@dataclass(frozen=True)
class Unseen:
    """A set: its folder, which of its files is what is trained on, and columns."""

    path: str
    train: str
    test: str
    columns: dict[str, Any]


SETS = {
    "snli": Unseen("nli/snli", "dev", "test", {"text": "premise", "pair": "hypothesis"}),
    "imdb": Unseen("sentiment/imdb", "train", "test", {"limit": 10_000}),
    "rte": Unseen("glue/rte", "train", "dev", {}),
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["search", "clock", "page"])
    parser.add_argument("names", nargs="*", default=list(SETS))
    parser.add_argument("--minutes", type=float, default=MINUTES)
    asked = parser.parse_args()
    if asked.what == "page":
        write_page()
        return
    for name in asked.names:
        if asked.what == "search":
            search(name, asked.minutes)
        else:
            clock(name)


def source_of(name: str) -> Source:
    """How a set is read: a folder of links to its files."""
    folder = PLACE / name / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for split, file in (("train", SETS[name].train), ("test", SETS[name].test)):
        link = folder / f"{split}.tsv.gz"
        if not link.exists():
            link.symlink_to(SHARED / SETS[name].path / f"{file}.tsv.gz")
    return Source(path=str(folder), **SETS[name].columns)


def search(name: str, minutes: float) -> None:
    """What a user types."""
    request = Request(
        model=MINILM, data=source_of(name), keep=KEEP, minutes=minutes, threads=1, device="cpu"
    )
    compress(request, PLACE / name / "search", watch=show)


def opener(folder: Path, backend: str | None, precision: str | None) -> Callable[..., Predictor]:
    """Opens a system for some threads and shapes."""

    def opened(threads: int | None, rows: Any) -> Predictor:
        return Predictor(open_system(folder, backend, precision, threads, rows=rows))

    return opened


def clock(name: str) -> None:
    """Time what was chosen beside the int8 teacher, and record what the search said."""
    dataset, place = source_of(name).read(), PLACE / name / "search"
    events = read(place / "record.jsonl")
    verdict = next(event for event in reversed(events) if event["event"] == "verdict")
    tested = {e["name"]: e["quality"]["test"] for e in events if e["event"] == "model"}
    teacher = plain_teacher(f"../unseen/{name}", dataset, place / "baselines")
    places = {INT8_TEACHER: (teacher, "openvino", "int8"), "chosen": (place / "model", None, None)}
    systems = {one: opener(*given) for one, given in places.items()}
    drawn = np.random.default_rng(0).permutation(len(dataset.test))[:TEXTS].tolist()
    texts = dataset.test.take(drawn)
    measured = measure_systems(
        systems,
        lambda text: len(text.split()),
        texts.texts,
        texts.pairs,
        rounds=ROUNDS,
        threads=1,
        loads=("throughput",),
    )
    promise = verdict.get("promise") or {}
    Record(RESULTS).write(
        "unseen",
        set=name,
        rows=len(dataset.train),
        chosen=verdict["chosen"],
        outcome=verdict["outcome"],
        dev_kept=promise.get("kept"),
        dev_lower=promise.get("lower"),
        teacher_test=tested[TEACHER],
        test_kept=tested[verdict["exported"]] / tested[TEACHER],
        ratio=measured.speedup(INT8_TEACHER, "chosen"),
        environment=environment(),
    )


HEAD = f"""# A quarter of an hour on sets that were not developed on

Generated by `python benchmarks/unseen.py page` from `unseen.jsonl`; the first lines of that script
say how. `compress` was asked for {KEEP:.0%} of MiniLM's quality within {MINUTES:.0f} minutes on one
thread, the fine-tuning of the teacher among them. The ratio is texts per second over the int8
teacher as users run it, from strings, on one thread; brackets are quartiles of the rounds. Bar:
{BAR:.0f}x.

| set | rows | chosen | outcome | dev keeps (proven) | test keeps | over the int8 teacher |
|---|---|---|---|---|---|---|
"""


def write_page() -> None:
    """Write docs/results/unseen.md."""
    rows = {event["set"]: event for event in read(RESULTS)}
    text = HEAD + "".join(f"{_line(row)}\n" for row in rows.values())
    machines = {json.dumps(row["environment"], sort_keys=True) for row in rows.values()}
    text += "".join(f"\nMachine: `{machine}`\n" for machine in sorted(machines))
    write_text(RESULTS.with_suffix(".md"), text)


def _line(row: dict[str, Any]) -> str:
    ratio = row["ratio"]
    missed = "" if ratio["value"] >= BAR else " **missed**"
    cells = (
        row["set"],
        f"{row['rows']:,}",
        row["chosen"],
        row["outcome"],
        f"{row['dev_kept']:.1%} ({row['dev_lower']:.1%})" if row["dev_kept"] else "–",
        f"{row['test_kept']:.1%} of {row['teacher_test']:.3f}",
        f"{ratio['value']:.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]{missed}",
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
