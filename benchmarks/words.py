"""From strings to answers: the same students by another checkout of the library and by this one.

    python benchmarks/words.py cut
    python benchmarks/words.py export --before CHECKOUT
    python benchmarks/words.py clock --before CHECKOUT
    python benchmarks/words.py table     (writes docs/results/words.md)

`cut` makes students of two and three layers of Banking77's teacher (`benchmarks/rivals.py teach`);
they are not trained, since what they answer costs the same. `export` has both checkouts export the
same weights to OpenVINO int8, with a tokenizer of their choice. `clock` (on a quiet machine!)
starts a process for each and has them answer the test split in turn on one thread.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from rivals_sets import ROOT, RUNS, SETS

RESULTS = ROOT / "docs" / "results" / "words.jsonl"
PLACE = RUNS.parent / "words"
SHAPES = {"L3": {"layers": 3, "ffn": 0.5}, "L2": {"layers": 2, "ffn": 0.5}}
ROUNDS = 21
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


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["cut", "export", "export-here", "clock", "table"])
    parser.add_argument("--before", type=Path, default=ROOT)
    parser.add_argument("--to", default="after")
    asked = parser.parse_args()
    if asked.what == "cut":
        cut()
    elif asked.what == "export":
        for source, to in ((asked.before, "before"), (ROOT, "after")):
            command = [sys.executable, __file__, "export-here", "--to", to]
            subprocess.run(command, check=True, env=environment_of(source))
    elif asked.what == "export-here":
        for name in SHAPES:
            export(name, PLACE / asked.to / name)
    elif asked.what == "clock":
        clock(asked.before)
    else:
        table()


def cut() -> None:
    """The weights of the students, and the texts that they answer."""
    from leanformer.prune.cut_vocabulary import CutVocabulary
    from leanformer.prune.shrink import Shrink
    from leanformer.recipe import Recipe, run

    source = SETS["banking77"].source()
    teacher = str(RUNS / "banking77" / "teacher" / "00-finetune" / "model")
    for name, shape in SHAPES.items():
        recipe = Recipe(
            name=name, model=teacher, data=source, steps=(CutVocabulary(), Shrink(**shape))
        )
        run(recipe, PLACE / "cut" / name)
    texts = source.read().test.texts
    (PLACE / "texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def export(name: str, folder: Path) -> None:
    """A student as this process's checkout serves it."""
    from leanformer.models.io.load import load_model
    from leanformer.models.io.save import save_model
    from leanformer.runtime.calibration import Calibration
    from leanformer.runtime.manifest import Manifest, write_manifest
    from leanformer.runtime.openvino.export import export_openvino

    dataset = SETS["banking77"].source().read()
    model, tokenizer = load_model(PLACE / "cut" / name / "01-shrink" / "model", "classification")
    save_model(model, tokenizer, folder, overwrite=True)
    sample = dataset.train.take(list(range(128)))
    calibration = Calibration(tokenizer=tokenizer, texts=sample.texts, pairs=None, max_length=128)
    export_openvino(
        model, "classification", folder / "openvino", precision="int8", calibration=calibration
    )
    more: dict[str, Any] = {}
    if "tokenizer" in {field.name for field in fields(Manifest)}:
        from leanformer.runtime.tokenizer import compared_tokenizer

        more["tokenizer"] = compared_tokenizer(folder, dataset.train.texts)
    write_manifest(
        folder,
        Manifest(
            kind="classification",
            labels=tuple(dataset.task.labels),
            max_length=128,
            backend="openvino",
            precision="int8",
            **more,
        ),
    )


def clock(before: Path) -> None:
    """Both checkouts in turn, for each student."""
    from leanformer.core.record import Record
    from leanformer.measure.environment import environment

    record = Record(RESULTS)
    for name in SHAPES:
        children = [started(before, "before", name), started(ROOT, "after", name)]
        rounds = [[asked(child) for child in children] for _ in range(ROUNDS)]
        for child in children:
            child.stdin.close()
            child.wait()
        ratios = statistics.quantiles([new / old for old, new in rounds], n=4)
        old, new = (statistics.median(column) for column in zip(*rounds, strict=True))
        record.write(
            "words",
            student=name,
            before=old,
            after=new,
            ratio=ratios[1],
            low=ratios[0],
            high=ratios[2],
            rounds=ROUNDS,
            environment=environment(),
        )


def environment_of(source: Path) -> dict[str, str]:
    """Of a process that has one thread and the library of a checkout."""
    quiet = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    return {**os.environ, **quiet, "PYTHONPATH": str(source / "src")}


def started(source: Path, which: str, name: str) -> "subprocess.Popen[str]":
    """A child that answers all texts for every line that it is sent."""
    command = [sys.executable, "-c", CHILD, str(PLACE / which / name), str(PLACE / "texts.txt")]
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env=environment_of(source)
    )
    used = Path(child.stdout.readline().strip()).resolve()
    assert used.is_relative_to(source.resolve()), f"{used} is not of {source}"
    return child


def asked(child: "subprocess.Popen[str]") -> float:
    """Texts per second of one round."""
    child.stdin.write("\n")
    child.stdin.flush()
    return float(child.stdout.readline())


def table() -> None:
    """Write the page from the events."""
    from leanformer.core.record import read
    from leanformer.core.storage.files import write_text

    found = [event for event in read(RESULTS) if event["event"] == "words"]
    rows = list({(_machine(row), row["student"]): row for row in found}.values())
    lines = [
        "# From strings to answers: the same students, before and after",
        "",
        "Generated by `python benchmarks/words.py table` from `words.jsonl`; the first lines",
        "of that script say how. Students of Banking77's teacher, half of the FFN, in int8,",
        f"the texts of the test split, {ROUNDS} rounds on one thread. *Before* is the library",
        "without the last layer for the first token alone and without the fast",
        "tokenizer. The bar is 1.5x. Brackets are quartiles of the rounds' ratios.",
        "",
        "| processor | student | before, texts/s | after, texts/s | ratio | bar |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        met = "met" if row["ratio"] >= 1.5 else "missed"
        lines.append(
            f"| {_machine(row)} | {row['student']} | {row['before']:,.0f} | {row['after']:,.0f} | "
            f"{row['ratio']:.2f}x [{row['low']:.2f}, {row['high']:.2f}] | {met} |"
        )
    machines = {json.dumps(row["environment"], sort_keys=True) for row in rows}
    lines += ["", *(f"Machine: `{machine}`" for machine in sorted(machines))]
    write_text(RESULTS.with_suffix(".md"), "\n".join(lines) + "\n")


def _machine(row: dict[str, Any]) -> str:
    """The processor and the widest of its instructions."""
    return f"{row['environment']['cpu']}, {row['environment']['instructions'][-1]}"


if __name__ == "__main__":
    main()
