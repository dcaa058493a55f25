"""A hundred kills: `compress` and `run` are stopped at random and aimed moments, and go on.

    python benchmarks/kills.py compress      (some twenty minutes on one core)
    python benchmarks/kills.py run           (some ten minutes)
    python benchmarks/kills.py page          (writes docs/results/kills.md)

A tiny BERT and short texts, so that the work between two kills is short. A chain is one piece of
work that is stopped up to ten times, each time at a random moment or as soon as a certain file
appears, by SIGKILL, SIGTERM or SIGINT, and then left to end. What came of it is compared with the
same work unbroken: weights bit by bit, qualities on dev, what became of each student, exit code. No
half file, lock or unfinished folder may be left, and no process may end in a traceback.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kills_page import MEASURED, write_page

from leanformer.core.record import Record, read
from leanformer.measure.environment import environment
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model

KILLS, MOST = {"compress": 30, "run": 70}, 10  # of a command, of one chain
SIGNALS = (signal.SIGKILL,) * 3 + (signal.SIGTERM, signal.SIGINT)
AIMS = (
    ".*.unfinished-*", ".*.finished*", ".*.replaced-*", "step.json", "done.json", "state.json",
    "recipe.json", "request.json", "parts.json", "leanformer.json", "checksums.bin",
    "model.safetensors", "openvino_model.xml", "report.html",
)  # fmt: skip
EXITS = (0, 3, 4)  # kept, not proven, not kept
WORDS = {
    "animal": [
        "the",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "lazy",
        "dog",
        "mountains",
        "small",
    ],
    "money": [
        "my",
        "card",
        "was",
        "charged",
        "twice",
        "and",
        "i",
        "want",
        "money",
        "back",
        "table",
        "people",
    ],
}
RECIPE = """
model = "encoder"
measure = false
data = {{ path = "{data}" }}

[[steps]]
use = "finetune"
train = {{ epochs = 12, learning_rate = 3e-3, batch_size = 4, checkpoint_seconds = 0.2 }}

[[steps]]
use = "cut-vocabulary"

[[steps]]
use = "shrink"
layers = 2
heads = 0.5

[[steps]]
use = "distill"
objectives = [{{ use = "soft-targets" }}, {{ use = "hidden-states" }}]
teacher_cache = "{cache}"
require_improvement = false
train = {{ epochs = 12, learning_rate = 3e-3, batch_size = 4, checkpoint_seconds = 0.2 }}

[[steps]]
use = "int8"
"""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["compress", "run", "page"])
    parser.add_argument("--kills", type=int, help="how many; as in the page")
    asked = parser.parse_args()
    if asked.what != "page":
        with tempfile.TemporaryDirectory() as folder:
            measure(asked.what, Path(folder), asked.kills or KILLS[asked.what])
    write_page()


def measure(what: str, place: Path, kills: int) -> None:
    """Stop a command so many times, and record each chain."""
    write_inputs(place)
    record, began = Record(MEASURED), time.monotonic()
    whole, code, _ = ended(start(what, place, "whole"))
    assert code in EXITS, whole
    seconds, unbroken = time.monotonic() - began, result(what, place / "whole")
    record.write("whole", command=what, seconds=seconds, exit=code, environment=environment())
    done, number = 0, 0
    while done < kills:
        chance = random.Random(f"{what} {number}")
        found = chain(what, place, f"chain-{number}", seconds, chance, min(MOST, kills - done))
        ours = result(what, place / f"chain-{number}")
        wrong = [name for name in unbroken | ours if unbroken.get(name) != ours.get(name)]
        left = litter(place / f"chain-{number}")
        record.write("chain", command=what, number=number, differs=wrong, litter=left, **found)
        done, number = done + len(found["kills"]), number + 1
        print(f"{what}: {done} of {kills} stopped; differs: {wrong}, litter: {left}", flush=True)


def write_inputs(place: Path) -> None:
    """A model, data and a recipe."""
    save_model(
        *tiny_model("bert", head="embedding", max_position_embeddings=160), place / "encoder"
    )
    (place / "data").mkdir()
    for split, count in (("train", 240), ("dev", 60), ("test", 60)):
        chance, rows = random.Random(split), ["text\tlabel"]
        for index in range(count):
            label = list(WORDS)[index % 2]
            text = " ".join(chance.choices(WORDS[label], k=chance.randint(3, 12)))
            rows.append(f"{text}\t{label}")
        (place / "data" / f"{split}.tsv").write_text("\n".join(rows) + "\n")


def start(what: str, place: Path, out: str) -> subprocess.Popen[str]:
    """Begin the command, or go on with it."""
    if what == "run":
        (place / "recipe.toml").write_text(RECIPE.format(data="data", cache=f"{out}-outputs"))
        words = ["run", "recipe.toml"]
    else:
        words = ["compress", "encoder", "data", "--keep", "0.5", "--minutes", "600"]
        words += ["--teacher-epochs", "12", "--student-epochs", "6", "--threads", "1"]
    code = "from leanformer.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *words, "--out", out],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=stoppable,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )


def stoppable() -> None:
    """A shell that begins this in the background has it ignore Ctrl-C, and its children too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def ended(process: subprocess.Popen[str]) -> tuple[str, int, int]:
    """What a process wrote, its exit code, and the tracebacks among it."""
    said, _ = process.communicate()
    return said, process.returncode, said.count("Traceback (most recent call last)")


def chain(
    what: str, place: Path, out: str, seconds: float, chance: random.Random, most: int
) -> dict[str, Any]:
    """Stop one piece of work up to `most` times, then let it end."""
    kills: list[dict[str, Any]] = []
    tracebacks, wrong = 0, []
    while len(kills) < most:
        process, began = start(what, place, out), time.monotonic()
        name, limit, moment = aimed(place / out, seconds, chance)
        while process.poll() is None and not moment():
            time.sleep(0.002)
        if process.poll() is not None:
            break
        sent = chance.choice(SIGNALS)
        after = time.monotonic() - began
        process.send_signal(sent)
        said, code, more = ended(process)
        tracebacks += more
        if code in EXITS:  # it had ended by itself
            return {"kills": kills, "exit": code, "tracebacks": tracebacks, "wrong": wrong}
        hit = name if after < limit else "a random moment"
        kills.append({"aim": hit, "signal": sent.name, "seconds": round(after, 2), "exit": code})
        if code not in (-sent, 128 + sent):
            wrong.append(said[-400:])
    else:
        process = start(what, place, out)
    said, code, more = ended(process)
    if code not in EXITS:
        wrong.append(said[-400:])
    return {"kills": kills, "exit": code, "tracebacks": tracebacks + more, "wrong": wrong}


def aimed(
    out: Path, seconds: float, chance: random.Random
) -> tuple[str, float, Callable[[], bool]]:
    """A moment, at the latest a random one: when a new file appears whose name fits a pattern."""
    began, limit = time.monotonic(), chance.uniform(0.1, 0.7) * seconds
    pattern = chance.choice(AIMS) if chance.random() < 0.7 else None
    known = set(out.rglob(pattern)) if pattern and out.exists() else set()

    def moment() -> bool:
        if time.monotonic() - began > limit:
            return True
        try:
            return bool(pattern) and any(path not in known for path in out.rglob(pattern or ""))
        except OSError:  # a folder that is gone while it is read
            return False

    return pattern or "a random moment", limit, moment


def result(what: str, out: Path) -> dict[str, Any]:
    """What came of the work, without its times."""
    found: dict[str, Any] = {
        str(file.relative_to(out)): hashlib.blake2b(file.read_bytes()).hexdigest()
        for file in out.rglob("[0-9][0-9]-*/model/model.safetensors")
    }
    for event in read(out / "record.jsonl"):
        if event["event"] == "choice" and event["decision"] in ("kept", "rejected"):
            found[f"decision {event['name']}"] = (event["decision"], event["reason"])
        if event["event"] == "model" and event["role"] != "baseline":
            found[f"dev of {event['name'].split(' · ')[0]}"] = event["quality"]["dev"]
        if event["event"] == "step":
            untimed = [p for p in event["proofs"] if not p["claim"].startswith("latency")]
            found[f"proofs of {event['model']} {event['step']}"] = str(untimed)
    found["verdict"] = any(e["event"] == "verdict" for e in read(out / "record.jsonl"))
    return found


def litter(out: Path) -> list[str]:
    """What a process that is gone has left."""
    names = (".*unfinished*", ".*.finished*", ".*.replaced*", ".leanformer.lock", "checkpoint")
    return sorted(str(path.relative_to(out)) for name in names for path in out.rglob(name))


if __name__ == "__main__":
    main()
