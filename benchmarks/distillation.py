"""Ways to distil compared: one student, one budget of steps, four tasks, one line a training.

    python benchmarks/distillation.py train banking77 sst2 stsb rte --seeds 0 1 2
    python benchmarks/distillation.py clock banking77 sst2 stsb rte
    python benchmarks/distillation.py table    (writes docs/results/distillation.md)

Each training is a recipe run in `runs/distillation/`, resumable; what is finished is not done
again. `train` appends to `docs/results/distillation.jsonl`, `clock` (on a quiet machine!) to
`docs/results/distillation-clock.jsonl`. Teachers are the foundation's, of seed 0.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from distillation_tables import CLOCKS, QUALITIES, write_tables
from distillation_ways import OURS, TASKS, WAYS, begun, fits, steps_of
from foundation import data_of, manifest, serve_teacher, served_teacher, show
from foundation_plans import MINILM, SHARED
from transfer_texts import entailment_pairs

from leanformer.core.record import Record, read
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Source, encode_examples
from leanformer.measure.environment import environment
from leanformer.measure.folders import measure_folders
from leanformer.models.anatomy.shape import shape_of
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe, open_model, run
from leanformer.runtime.manifest import write_manifest
from leanformer.train.evaluate import make_evaluator
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.finetune import Finetune

CLOCKED = {"seventh": "labels", "half-depth": "distilbert-half"}  # shape -> a way that has it


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
        if not fits(name, way, dataset):
            continue
        student = begun(name, way, dataset)
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
    """The teacher's folder; RTE's is trained here, on SNLI's pairs and then on RTE's own."""
    if name != "rte":
        return served_teacher(name, dataset)
    place = TASKS[name].teacher
    if not (place / "leanformer.json").is_file():
        pairs = Source(path=str(entailment_pairs(SHARED, OURS / name / "snli")))
        inferred = finetuned(MINILM, pairs, pairs.read(), 2, 1e-4, OURS / name / "inference")
        source = replace(TASKS[name].source, unlabelled=None)
        last = finetuned(str(inferred.saved), source, dataset, 4, 5e-5, OURS / name / "teacher")
        serve_teacher(last, place)
    return place


def finetuned(
    model: str, source: Source, dataset: Dataset, epochs: int, rate: float, folder: Path
) -> Workspace:
    """A model trained on the labels of a data set."""
    setup = TrainSetup(epochs=epochs, learning_rate=rate, batch_size=32)
    recipe = Recipe(
        name="teacher",
        model=model,
        data=source,
        steps=(Finetune(train=setup, require_improvement=False),),
    )
    return run(recipe, folder, dataset=dataset, watch=show)


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
        found[split] = make_evaluator(encoded, dataset.task, None, "fp32")(model)
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
    for shape, way in CLOCKED.items():
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
