"""From strings to answers: the same students by another checkout of the library and by this one.

    python benchmarks/words.py TEXTS STUDENT... --before CHECKOUT [--rounds 20]

Each student is a pair of folders `BEFORE:AFTER`, served models that the two checkouts exported from
the same weights; TEXTS has one text per line. Every round both answer all texts on one thread, each
in a child process of its own; the medians and the median ratio go to docs/results/words.jsonl.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.parent
RESULTS = HERE / "docs" / "results" / "words.jsonl"
CHILD = """
import sys, time
import leanformer
folder, file = sys.argv[1:]
texts = open(file, encoding="utf-8").read().splitlines()
model = leanformer.load(folder, threads=1)
model.predict(texts)
print(leanformer.__file__, flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    model.predict(texts)
    print(len(texts) / (time.perf_counter() - start), flush=True)
"""


def started(source: Path, folder: str, texts: str) -> "subprocess.Popen[str]":
    """A child that answers all texts for every line that it is sent."""
    quiet = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    where = {**os.environ, **quiet, "PYTHONPATH": str(source / "src")}
    command = [sys.executable, "-c", CHILD, folder, texts]
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=where)
    used = Path(child.stdout.readline().strip()).resolve()
    assert used.is_relative_to(source.resolve()), f"{used} is not of {source}"
    return child


def asked(child: "subprocess.Popen[str]") -> float:
    """Texts per second of one round."""
    child.stdin.write("\n")
    child.stdin.flush()
    return float(child.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts")
    parser.add_argument("students", nargs="+")
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    for student in options.students:
        before, _, after = student.partition(":")
        children = [
            started(options.before, before, options.texts),
            started(HERE, after or before, options.texts),
        ]
        rounds = [[asked(child) for child in children] for _ in range(options.rounds)]
        for child in children:
            child.stdin.close()
            child.wait()
        old, new = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(b / a for a, b in rounds)
        row = {"student": Path(after or before).name, "texts": Path(options.texts).name}
        row |= {"before": old, "after": new, "ratio": ratio, "rounds": options.rounds}
        print(row)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
