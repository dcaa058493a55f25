"""A vector store whose writer is killed at random moments: what is lost, and does it open?

    python benchmarks/vector_store.py kills     (some minutes; 200 trials)
    python benchmarks/vector_store.py page      (writes docs/results/vector-store.md)

In a trial a process adds batches of 200 vectors of width 384, and now and then replaces, deletes or
compacts; it tells each commit through a pipe once the method has returned. It is stopped by SIGKILL
at a random moment. Then the store must open, pass its checksums, and hold exactly what the commits
that were told left, or that and the whole of the next one. The next writer goes on in the same
folder, so that a store lives through ten kills. SIGKILL leaves what the system has not yet written
to the disk in its cache: a power cut is not tested by it.
"""

import argparse
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from vector_store_page import MEASURED, write_page

from leanformer.core.record import Record
from leanformer.measure.environment import environment
from leanformer.retrieve.store import VectorStore

TRIALS, PER_STORE, LONGEST = 200, 10, 1.5  # kills in all, of one store; seconds until a kill
BATCH, WIDTH, SEGMENT_ROWS = 200, 384, 1000
Model = dict[str, int]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kills", "page"])
    parser.add_argument("--trials", type=int, default=TRIALS, help="how many kills")
    asked = parser.parse_args()
    if asked.what == "kills":
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), asked.trials)
    write_page()


def measure(place: Path, trials: int) -> None:
    """Kill writers so many times, and record what was found after each."""
    record = Record(MEASURED)
    sizes = {"batch": BATCH, "width": WIDTH, "segment_rows": SEGMENT_ROWS}
    record.write("begin", trials=trials, environment=environment(), **sizes)
    for number in range(trials):
        folder = place / f"store-{number // PER_STORE}"
        if not folder.exists():
            create = {"width": WIDTH, "normalized": False, "segment_rows": SEGMENT_ROWS}
            VectorStore.create(folder, **create).close()
            model: Model = {}
        found, model = trial(folder, model, random.Random(number))
        record.write("trial", number=number, **found)
        print(number, found, flush=True)


def change(model: Model, step: int, chance: random.Random) -> tuple[str, list[str], Model]:
    """The next commit: its verb, its keys, and what the store holds after it."""
    verb = chance.choices(["add", "update", "delete", "compact"], [12, 3, 3, 1])[0]
    verb = verb if model else "add"
    keys = [f"{step}-{place}" for place in range(BATCH)]
    if verb in ("update", "delete"):
        keys = chance.sample(list(model), min(BATCH, len(model)))
    if verb == "compact":
        return verb, [], model
    after = {key: value for key, value in model.items() if key not in set(keys)}
    if verb != "delete":
        after |= dict.fromkeys(keys, step)
    return verb, keys, after


def write(folder: Path, model: Model, chance: random.Random, told: int) -> None:
    """Commit until somebody ends it; each commit is told when it is done."""
    first = chance.randrange(10**6)  # of no former trial in this store, in all likelihood
    with VectorStore.open(folder, write=True) as store:
        step = first
        while True:
            verb, keys, model = change(model, step, chance)
            if verb == "compact":
                store.compact()
            elif verb == "delete":
                store.delete(keys)
            else:
                records = [{"text": f"{key} {step}", "metadata": {"step": step}} for key in keys]
                getattr(store, verb)(keys, np.full((len(keys), WIDTH), step), records)
            os.write(told, b".")
            step += 1


def trial(folder: Path, model: Model, chance: random.Random) -> tuple[dict[str, Any], Model]:
    """Kill one writer, and look at what it left; also what the store holds then."""
    plan = random.Random(chance.random())
    state, wait = plan.getstate(), chance.uniform(0.02, LONGEST)
    reading, telling = os.pipe()
    child = os.fork()
    if not child:
        try:
            write(folder, model, plan, telling)
        finally:
            os._exit(1)
    os.close(telling)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    killed = os.waitpid(child, 0)[1] == signal.SIGKILL
    with os.fdopen(reading, "rb") as pipe:
        commits = len(pipe.read())
    plan.setstate(state)
    step, verb = plan.randrange(10**6), ""
    for number in range(commits):
        verb, _, model = change(model, step + number, plan)
    verb, _, after = change(model, step + commits, plan)
    found: dict[str, Any] = {"killed": killed, "commits": commits, "during": verb}
    opened, there = look(folder)
    lost = sum(there.get(key) != value for key, value in model.items())
    whole = there in (model, after)
    if there == after != model:
        lost, model = 0, after
    return found | {"opened": opened, "lost": lost, "whole": whole, "rows": len(there)}, model


def look(folder: Path) -> tuple[str, Model]:
    """What a reader says to the store ("" = it opens and its checksums are right), and its rows."""
    try:
        snapshot = VectorStore.open(folder).snapshot()
        snapshot.verify()
    except (OSError, ValueError) as error:
        return str(error), {}
    rows = np.flatnonzero(snapshot.alive())
    keys, records, vectors = snapshot.keys(rows), snapshot.records(rows), snapshot.vectors(rows)
    steps = [record["metadata"]["step"] for record in records]
    right = (vectors == np.array(steps, np.float32).reshape(-1, 1)).all()
    return "" if right else "vectors that do not belong to their records", dict(
        zip(keys, steps, strict=True)
    )


if __name__ == "__main__":
    main()
