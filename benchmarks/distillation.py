"""Ways to distil compared: one student, one budget of steps, four tasks, one line a training.

    python benchmarks/distillation.py train banking77 sst2 stsb rte --seeds 0 1 2
    python benchmarks/distillation.py clock banking77 sst2 stsb rte
    python benchmarks/distillation.py table    (writes docs/results/distillation.md)

Each training is a recipe run in `runs/distillation/`, resumable; what is finished is not done
again. `train` appends to `docs/results/distillation.jsonl`, `clock` (on a quiet machine!) to
`docs/results/distillation-clock.jsonl`. Teachers are the foundation's, of seed 0.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from distillation_tables import CLOCKS, QUALITIES, write_tables
from foundation import MINILM, PLANS, RUNS, SHARED, data_of, manifest, serve_teacher, show
from foundation_tables import ROOT

from leanformer.core.record import Record, read
from leanformer.data import Dataset, Source, encode_examples
from leanformer.data.task import joined
from leanformer.distill.objectives import (
    AttentionScores,
    HiddenStates,
    Labels,
    LastHidden,
    Logits,
    SoftTargets,
)
from leanformer.distill.progressive import Progressive
from leanformer.distill.step import Distill
from leanformer.distill.substitution import Substitution
from leanformer.measure.environment import environment
from leanformer.measure.folders import measure_folders
from leanformer.models.shape import shape_of
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe, open_model, run
from leanformer.runtime.manifest import write_manifest
from leanformer.train.evaluate import judge
from leanformer.train.finetune import Finetune
from leanformer.train.setup import TrainSetup

OURS = ROOT / "runs" / "distillation"
BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Task:
    """Where a task's texts and its teacher are, and how long each student is trained."""

    source: Source
    teacher: Path
    steps: int
    """Optimizer steps of every way to distil, all its stages together."""
    copies: int
    """Texts made of each training text by TinyBERT's augmentation."""
    min_count: int = 1


def foundations(name: str, steps: int, copies: int) -> Task:
    """A task that the foundation has a teacher for."""
    plan = PLANS[name]
    return Task(
        source=plan.source,
        teacher=RUNS / name / "served-teacher",
        steps=steps,
        copies=copies,
        min_count=plan.min_count,
    )


TASKS = {
    "banking77": foundations("banking77", 1600, 4),
    "sst2": foundations("sst2", 1000, 8),
    "stsb": foundations("stsb", 600, 5),
    "rte": Task(
        source=Source(path=str(SHARED / "glue/rte"), unlabelled=PLANS["stsb"].source.unlabelled),
        teacher=OURS / "rte" / "served-teacher",
        steps=300,
        copies=8,
    ),
}
SHAPES = {
    "seventh": {"layers": 2, "heads": 0.5, "ffn": 416 / 1536},
    "half-depth": {"layers": 3},
}
# way -> the student that it is given
WAYS = {
    "labels": "seventh",
    "soft-targets": "seventh",
    "distilbert": "seventh",
    "mobilebert": "seventh",
    "tinybert": "seventh",
    "tinybert-augmented": "seventh",
    "transfer": "seventh",
    "soft-hidden": "seventh",
    "distilbert-half": "half-depth",
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "clock", "table"])
    parser.add_argument("names", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    asked = parser.parse_args()
    if asked.what == "table":
        write_tables()
    elif asked.what == "clock":
        for name in asked.names:
            clock(name)
    else:
        for seed in asked.seeds:
            for name in asked.names:
                train(name, seed, asked.ways)


def train(name: str, seed: int, ways: list[str]) -> None:
    """The students of a task, each judged on dev and once on test."""
    dataset = dataset_of(name)
    teacher = teacher_of(name, dataset)
    record(name, 0, "teacher", teacher, dataset)
    for way in ways:
        if way == "transfer" and dataset.unlabelled is None:
            continue  # Banking77 has no text without labels
        student = begun(name, WAYS[way], teacher, dataset)
        recipe = Recipe(
            name=f"{name}-{way}-{seed}",
            model=str(student),
            teacher=str(teacher),
            data=TASKS[name].source,
            steps=steps_of(name, way, dataset),
            seed=seed,
        )
        done = run(recipe, OURS / name / f"{way}-{seed}", dataset=dataset, watch=show)
        record(name, seed, way, done.saved, dataset)


def dataset_of(name: str) -> Dataset:
    """The data set of a task, with its transfer texts; RTE is given STS-B's, pairs as well."""
    if name != "rte":
        return data_of(name)
    data_of("stsb")  # writes the pairs
    return TASKS[name].source.read()


def teacher_of(name: str, dataset: Dataset) -> Path:
    """The teacher's folder; RTE's is trained here."""
    place = TASKS[name].teacher
    if not (place / "leanformer.json").is_file():
        setup = TrainSetup(epochs=6, learning_rate=1e-4, batch_size=32)
        recipe = Recipe(
            name="teacher",
            model=MINILM,
            data=replace(TASKS[name].source, unlabelled=None),
            steps=(Finetune(train=setup),),
        )
        done = run(recipe, OURS / name / "teacher", dataset=dataset, watch=show)
        serve_teacher(done, place)
    return place


def begun(name: str, shape: str, teacher: Path, dataset: Dataset) -> Path:
    """The student as all ways begin with it: parts of the teacher, not trained."""
    recipe = Recipe(
        name=shape,
        model=str(teacher),
        data=TASKS[name].source,
        steps=(CutVocabulary(min_count=TASKS[name].min_count), Shrink(**SHAPES[shape])),
    )
    return run(recipe, OURS / name / shape, dataset=dataset).saved


def steps_of(name: str, way: str, dataset: Dataset) -> tuple:
    """One way to distil, as steps of a recipe."""
    task = TASKS[name]
    answers = Logits() if dataset.task.kind == "regression" else SoftTargets()
    softer = (
        Logits(weight=5)
        if dataset.task.kind == "regression"
        else SoftTargets(temperature=2.0, weight=5.0)
    )
    answered, shown = OURS / name / "answers", OURS / name / "hidden"  # what teachers said
    few = dataset.unlabelled is None  # else most texts are seen once, and keeping costs more
    augment = Substitution(copies=task.copies)

    def stage(*objectives, share=1.0, texts=1.0, transfer=False, **more) -> Distill:
        train = budget(dataset, task.steps * share, texts, transfer)
        if "choose" in more:  # TinyBERT's layers are taught at a constant rate
            train = replace(train, schedule="constant")
        # a way that does not help is a result too
        return Distill(
            objectives=objectives, unlabelled=transfer, train=train, regain=False, **more
        )

    def tinybert(**more) -> tuple:
        layers = (AttentionScores(heads="mean"), HiddenStates())
        return (
            stage(*layers, share=0.5, choose="last", **more),
            stage(answers, share=0.5, **more),
        )

    def distilbert() -> tuple:
        return (stage(softer, Labels(weight=2.0), LastHidden(), keep_outputs=shown),)

    return {
        "labels": lambda: (stage(Labels()),),
        "soft-targets": lambda: (stage(answers, keep_outputs=answered),),
        "distilbert": distilbert,
        "distilbert-half": distilbert,
        "mobilebert": lambda: (
            Progressive(
                attention=0, unlabelled=False, train=budget(dataset, task.steps / 4, 1, False)
            ),
            stage(answers, share=0.5, keep_outputs=answered),
        ),
        "tinybert": tinybert,
        "tinybert-augmented": lambda: tinybert(texts=1 + task.copies, augmentation=augment),
        "transfer": lambda: (stage(answers, transfer=True),),
        "soft-hidden": lambda: (
            stage(answers, HiddenStates(), transfer=True, keep_outputs=shown if few else None),
        ),
    }[way]()


def budget(dataset: Dataset, steps: float, texts: float, transfer: bool) -> TrainSetup:
    """A training of about so many steps, whatever the number of texts."""
    unlabelled = dataset.unlabelled if transfer else None
    count = len(joined(dataset.train, unlabelled, dataset.task.kind)) * texts
    return TrainSetup(
        epochs=round(steps * BATCH / count, 3),
        learning_rate=4e-4,
        batch_size=BATCH,
        evaluations=5,
    )


def record(name: str, seed: int, way: str, folder: Path, dataset: Dataset) -> None:
    """Append the qualities of one model, unless they are there."""
    file = Record(QUALITIES)
    known = read(file.path) if file.path.is_file() else []
    if any((e["data"], e["seed"], e["way"]) == (name, seed, way) for e in known):
        return
    model, tokenizer = open_model(str(folder), dataset, 0)
    found = {}
    for split in ("dev", "test"):
        encoded = encode_examples(getattr(dataset, split), tokenizer, dataset.task.kind, 128)
        found[split] = judge(encoded, dataset.task, None, "fp32")(model)
    shape = shape_of(model)
    embedded = model.get_input_embeddings().weight.numel()
    positions = sum(
        parameter.numel()
        for key, parameter in model.named_parameters()
        if "position_embeddings" in key or "token_type_embeddings" in key
    )
    file.write(
        "quality",
        data=name,
        seed=seed,
        way=way,
        metric=dataset.task.metric,
        shape=shape.json(),
        non_embedding=shape.parameters - embedded - positions,
        **found,
    )


def clock(name: str) -> None:
    """Time both student shapes beside the teacher, in PyTorch fp32 and in int8."""
    dataset = dataset_of(name)
    teacher = teacher_of(name, dataset)
    served = {
        "teacher": (teacher, "pytorch", "fp32"),
        "teacher-int8": (teacher, "openvino", "int8"),
    }
    for shape in SHAPES:
        way = next(way for way, student in WAYS.items() if student == shape)
        trained = sorted((OURS / name / f"{way}-0").glob("*/model"))[-1]
        recipe = Recipe(name=shape, model=str(trained), data=TASKS[name].source, steps=(Int8(),))
        folder = run(recipe, OURS / name / f"{shape}-int8", dataset=dataset).saved
        write_manifest(folder, manifest(dataset))
        served[shape] = (folder, "pytorch", "fp32")
        served[f"{shape}-int8"] = (folder, "openvino", "int8")
    texts = dataset.test.take(list(range(min(400, len(dataset.test)))))
    quantities, measured = measure_folders(served, texts.texts, texts.pairs)
    for system in served:
        whole = "teacher-int8" if system.endswith("int8") else "teacher"
        Record(CLOCKS).write(
            "clock",
            data=name,
            system=system,
            quantities=quantities[system],
            over_teacher=measured.speedup(whole, system, "throughput"),
            environment=environment(),
        )


if __name__ == "__main__":
    main()
