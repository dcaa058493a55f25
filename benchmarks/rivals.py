"""What `compress` finds on six sets, beside everything that a user could pick in its place.

    python benchmarks/rivals.py teach banking77 trec sst2 ag-news stsb ner
    python benchmarks/rivals.py search banking77 trec sst2 ag-news stsb ner
    python benchmarks/rivals.py clock banking77 trec sst2 ag-news stsb ner
    python benchmarks/rivals.py table    (writes docs/results/rivals.md and README's table)

`teach` fine-tunes MiniLM-L6 once per set. `search` asks `leanformer compress` on one thread for
99, 97 and 95 % of that teacher in one folder, so that a student is trained once for all three; what
was chosen stays in `runs/rivals/SET/model-KEEP`. `clock` times (on a quiet machine!) what was
chosen beside its rivals, in turn, on one thread, from strings, and appends to
`docs/results/rivals.jsonl`. All three are resumable.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from readme import write_region
from rivals_clock import clock
from rivals_page import readme_table, write_rivals_page
from rivals_sets import AGAIN, KEEPS, MINILM, RESULTS, ROOT, RUNS, SETS

from leanformer.core.record import read
from leanformer.core.storage.files import write_text
from leanformer.recipe import Recipe, run
from leanformer.search import Request, compress
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.finetune import Finetune


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["teach", "search", "clock", "table"])
    parser.add_argument("names", nargs="*", default=list(SETS))
    parser.add_argument("--keeps", nargs="*", type=float, default=list(KEEPS))
    asked = parser.parse_args()
    if asked.what == "table":
        rows = [event for event in read(RESULTS) if event["event"] == "rival"]
        write_rivals_page(rows, ROOT / "docs" / "results" / "rivals.md")
        write_region("rivals", readme_table(rows))
        return
    for name in asked.names:
        if asked.what == "teach":
            teach(name)
        elif asked.what == "clock":
            clock(name)
        else:
            for keep in sorted(asked.keeps, key=lambda one: one != SETS[name].first):
                search(name, keep)


def teach(name: str) -> Path:
    """The fine-tuned teacher of a set."""
    setup = TrainSetup(epochs=SETS[name].epochs, learning_rate=1e-4, batch_size=32)
    recipe = Recipe(
        name="teacher",
        model=MINILM,
        data=SETS[name].source(unlabelled=False),
        steps=(Finetune(train=setup),),
        device="cpu",
    )
    saved = run(recipe, RUNS / name / "teacher", watch=show).saved
    assert saved is not None
    return saved


def search(name: str, keep: float) -> None:
    """What `compress` finds for a share of quality, and what it says of it."""
    place, found = RUNS / name / "search", RUNS / name / f"found-{keep}.json"
    if found.is_file():
        return
    began = time.time()
    request = Request(
        model=str(teach(name)),
        data=SETS[name].source(),
        keep=keep,
        minutes=SETS[name].minutes if keep == SETS[name].first else AGAIN,
        threads=1,
        device="cpu",
    )
    compress(request, place, watch=show)
    kept = RUNS / name / f"model-{keep}"
    shutil.rmtree(kept, ignore_errors=True)
    if (place / "model").is_dir():
        shutil.copytree(place / "model", kept)
    events = read(place / "record.jsonl")
    facts = {
        "verdict": next(event for event in reversed(events) if event["event"] == "verdict"),
        "models": [event for event in events if event["event"] == "model"],
        "gates": [event for event in events if event["event"] == "gate"],
        "training_seconds": sum(e["seconds"] for e in events if e["event"] == "step"),
        "minutes": (time.time() - began) / 60,
    }
    write_text(found, json.dumps(facts, ensure_ascii=False))


def show(name: str, news: Any) -> None:
    """One line per piece of news; of trainings, per evaluation."""
    if isinstance(news, str):
        sys.stderr.write(f"{name} {news}\n")
    elif news.quality is not None:
        sys.stderr.write(f"{name} {news.step}/{news.steps} {news.quality:.4f}\n")


if __name__ == "__main__":
    main()
