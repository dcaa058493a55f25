"""The foundation's results: quality and size of students on four tasks, one line a model.

    python benchmarks/foundation.py train banking77 sst2 stsb ner --seeds 0 1 2
    python benchmarks/foundation.py clock banking77 sst2 stsb ner
    python benchmarks/foundation.py table    (writes docs/results/foundation.md and README's table)

Every training is a recipe run in `runs/foundation/`, resumable; what is finished is not done again.
`train` appends to `docs/results/foundation.jsonl`, `clock` (on a quiet machine!) to
`docs/results/foundation-clock.jsonl`.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from foundation_plans import MINILM, PLANS, RUNS, SHARED, STUDENTS
from foundation_tables import CLOCKS, QUALITIES, write_tables
from transfer_texts import sentiment_texts, similarity_pairs

from leanformer.core.record import Record, read
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, encode_examples
from leanformer.distill.objectives import HiddenStates, Logits, SoftTargets
from leanformer.distill.step import Distill
from leanformer.measure.environment import environment
from leanformer.measure.folders import measure_folders
from leanformer.measure.quality import session_outputs
from leanformer.models.anatomy.shape import shape_of
from leanformer.models.io.save import save_model
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe, open_model, run
from leanformer.runtime.backends import graph_file
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.serving.opening import open_session
from leanformer.train.evaluate import quality
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.finetune import Finetune


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "clock", "table"])
    parser.add_argument("names", nargs="*", default=list(PLANS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    asked = parser.parse_args()
    if asked.what == "table":
        write_tables()
        return
    for seed in asked.seeds:
        for name in asked.names:
            train(name, seed) if asked.what == "train" else clock(name)


def train(name: str, seed: int) -> None:
    """A teacher of this seed, and this seed's students of the teacher of seed 0.

    All are judged on dev and once on test.
    """
    dataset = data_of(name)
    if seed:
        other = RUNS / name / f"teacher-{seed}"
        done = teach(name, seed, other, dataset)
        write_manifest(done.saved, manifest(dataset))
        judge(name, seed, "teacher", done.saved, "pytorch", "fp32", dataset)
    done = teach(name, 0, RUNS / name / "teacher", dataset)
    place = served_teacher(name, dataset)
    judge(name, 0, "teacher", place, "pytorch", "fp32", dataset)
    judge(name, 0, "teacher-int8", place, "openvino", "int8", dataset)
    places = {"teacher": str(done.saved)}
    for student, (start, shape) in STUDENTS.items():
        if student == "half-cut" and PLANS[name].last_pieces is None:
            continue
        recipe = Recipe(
            name=f"{name}-{student}-{seed}",
            model=places[start],
            teacher=places["teacher"],
            data=PLANS[name].source,
            steps=students_steps(name, student, shape),
            seed=seed,
        )
        finished = run(recipe, RUNS / name / f"{student}-{seed}", dataset=dataset, watch=show)
        write_manifest(finished.saved, manifest(dataset))
        judge(name, seed, student, finished.saved, "openvino", "int8", dataset)
        places[student] = str(finished.saved)


def served_teacher(name: str, dataset: Dataset) -> Path:
    """The exported teacher of seed 0; it is trained unless it is there."""
    place = RUNS / name / "served-teacher"
    if not (place / "leanformer.json").is_file():
        serve_teacher(teach(name, 0, RUNS / name / "teacher", dataset), place)
    return place


def teach(name: str, seed: int, folder: Path, dataset: Dataset) -> Workspace:
    """Fine-tune MiniLM-L6 for a task."""
    plan = PLANS[name]
    setup = TrainSetup(epochs=plan.teacher_epochs, learning_rate=1e-4, batch_size=32)
    recipe = Recipe(
        name="teacher",
        model=MINILM,
        data=replace(plan.source, unlabelled=None),
        steps=(Finetune(train=setup),),
        seed=seed,
    )
    return run(recipe, folder, dataset=dataset, watch=show)


def data_of(name: str) -> Dataset:
    """The data set of a task, with its transfer texts."""
    source = PLANS[name].source
    if source.unlabelled is not None:
        write = {"sst2": sentiment_texts, "stsb": similarity_pairs}[name]
        write(SHARED, source.unlabelled)
    return source.read()


def students_steps(name: str, student: str, shape: dict) -> tuple:
    """What is done to make a student of what it is begun from."""
    plan = PLANS[name]
    if student == "half-cut":
        return (CutVocabulary(size=plan.last_pieces), Int8())
    taught = Distill(
        objectives=(Logits() if name == "stsb" else SoftTargets(), HiddenStates()),
        train=TrainSetup(
            epochs=plan.student_epochs, learning_rate=4e-4, batch_size=64, evaluations=6
        ),
        # two epochs of SST-2's many texts would win less than writing 9 GB costs
        teacher_cache=None if name == "sst2" else RUNS / name / "outputs",
    )
    steps = (Shrink(**shape), taught, Int8())
    cut = (CutVocabulary(min_count=plan.min_count, size=plan.pieces),)
    return (*cut, *steps) if student == "half" else steps


def manifest(dataset) -> Manifest:
    """How the exported folders of a task describe themselves."""
    return Manifest(
        kind=dataset.task.kind,
        labels=dataset.task.labels,
        max_length=128,
        pairs=dataset.train.pairs is not None,
        backend="openvino",
        precision="int8",
    )


def serve_teacher(done: Workspace, place: Path) -> None:
    """The whole teacher as its user would run it: PyTorch, fused ONNX fp32, OpenVINO int8."""
    dataset, pairs = done.dataset, done.dataset.train.pairs is not None
    sample = dataset.train.take(list(range(128)))
    save_model(done.model, done.tokenizer, place, overwrite=True)
    export_openvino(
        done.model,
        dataset.task.kind,
        graph_file(place, "openvino", "int8").parent,
        precision="int8",
        pairs=pairs,
        calibration=Calibration(
            tokenizer=done.tokenizer, texts=sample.texts, pairs=sample.pairs, max_length=128
        ),
    )
    export_onnx(
        done.model, dataset.task.kind, graph_file(place, "onnxruntime", "fp32").parent, pairs=pairs
    )
    write_manifest(place, manifest(dataset))


def judge(name, seed, system, folder, backend, precision, dataset) -> None:
    """Append the qualities of one exported model, unless they are there."""
    record = Record(QUALITIES)
    known = read(record.path) if record.path.is_file() else []
    if any((e["data"], e["seed"], e["system"]) == (name, seed, system) for e in known):
        return
    model, tokenizer = open_model(str(folder), dataset, 0)
    session = open_session(folder, backend, precision)
    found = {}
    for split in ("dev", "test"):
        encoded = encode_examples(getattr(dataset, split), tokenizer, dataset.task.kind, 128)
        found[split] = quality(session_outputs(session, encoded), encoded, dataset.task)
    record.write(
        "quality",
        data=name,
        seed=seed,
        system=system,
        backend=backend,
        precision=precision,
        metric=dataset.task.metric,
        shape=shape_of(model).json(),
        **found,
    )


def clock(name: str) -> None:
    """Time all systems of a task side by side; the machine must be quiet."""
    dataset = data_of(name)
    texts = dataset.test.take(list(range(min(400, len(dataset.test)))))
    teacher = RUNS / name / "served-teacher"
    served = {
        "teacher": (teacher, "pytorch", "fp32"),
        "teacher-bf16": (teacher, "pytorch", "bf16"),
        "teacher-onnx": (teacher, "onnxruntime", "fp32"),
        "teacher-int8": (teacher, "openvino", "int8"),
    }
    for student in STUDENTS:
        folder = RUNS / name / f"{student}-0"
        steps = sorted(folder.glob("*-int8/model"))
        if steps:
            served[student] = (steps[-1], "openvino", "int8")
    quantities, measured = measure_folders(served, texts.texts, texts.pairs, rounds=15)
    record = Record(CLOCKS)
    for system in served:
        record.write(
            "clock",
            data=name,
            system=system,
            quantities=quantities[system],
            over_int8={
                load: measured.speedup("teacher-int8", system, load)
                for load in ("throughput", "latency_32", "latency_128")
            },
            over_users=measured.speedup_over_users("teacher", system),
            contended={load: by[system].contended for load, by in measured.timings.items()},
            environment=environment(),
        )


def show(name: str, progress) -> None:
    """One line where a training was evaluated."""
    if not isinstance(progress, str) and progress.quality is not None:
        line = (
            f"{name} {progress.step}/{progress.steps} {progress.loss:.4f} {progress.seconds:.0f} s"
        )
        sys.stderr.write(f"{line} dev {progress.quality:.4f}\n")


if __name__ == "__main__":
    main()
