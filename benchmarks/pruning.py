"""Ways to prune compared: what is left of a teacher's quality at each share of its weights.

    python benchmarks/pruning.py train sst2 banking77 rte --seeds 0 1 2
    python benchmarks/pruning.py train sst2 --shares 0.5 0.3 0.15 0.1 0.05 0.03    (the crossover)
    python benchmarks/pruning.py tickets sst2 --seeds 0 1 2
    python benchmarks/pruning.py clock sst2 banking77 rte
    python benchmarks/pruning.py table    (writes docs/results/pruning.md)

Each line is a recipe run in `runs/pruning/`, resumable; what is finished is not done again. `train`
and `tickets` append to `docs/results/pruning.jsonl`, `clock` (on a quiet machine!) to
`docs/results/pruning-clock.jsonl`. Models are the foundation's teachers, of seed 0.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from distillation import dataset_of, teacher_of
from distillation_ways import TASKS
from foundation import MINILM, manifest, show
from foundation_tables import ROOT
from pruning_tables import CLOCKS, QUALITIES, write_tables

from leanformer.core.record import Record, read
from leanformer.core.step import Step
from leanformer.data import Dataset, encode_examples
from leanformer.distill.objectives import HiddenStates, Labels, Logits, SoftTargets
from leanformer.distill.step import Distill
from leanformer.measure.environment import environment
from leanformer.measure.folders import measure_folders
from leanformer.prune.drop_empty import DropEmpty
from leanformer.prune.lottery import Lottery
from leanformer.prune.pack_sparse import PackSparse
from leanformer.prune.patterns import Hybrid
from leanformer.prune.saliencies import BrainSurgeon, Movement, WeightMagnitude
from leanformer.prune.schedules import Cubic
from leanformer.prune.sparse_gpt import SparseGpt
from leanformer.prune.sparsify import Sparsify
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe, open_model, run
from leanformer.runtime.manifest import write_manifest
from leanformer.train.evaluate import judge
from leanformer.train.finetune import Finetune
from leanformer.train.setup import TrainSetup

OURS = ROOT / "runs" / "pruning"
BATCH = 32
STEPS = {"banking77": 1200, "sst2": 1200, "rte": 400}
SHARES = (0.15, 0.05)
WAYS = ("sparse-gpt", "magnitude", "movement", "surgeon", "structured")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "tickets", "clock", "table"])
    parser.add_argument("names", nargs="*", default=list(STEPS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--shares", nargs="*", type=float, default=list(SHARES))
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
                if asked.what == "tickets":
                    tickets(name, seed)
                else:
                    train(name, seed, asked.ways, asked.shares)


def train(name: str, seed: int, ways: list[str], shares: list[float]) -> None:
    """Every way at every share for one task, judged on dev and once on test."""
    dataset = dataset_of(name)
    teacher = teacher_of(name, dataset)
    record(name, 0, "teacher", 1.0, teacher, dataset)
    for share in shares:
        for way in ways:
            if seed and way == "sparse-gpt":
                continue  # nothing in it is random
            folder = pruned(name, seed, way, share, dataset, teacher)
            record(name, seed, way, share, folder, dataset)


def pruned(name: str, seed: int, way: str, share: float, dataset: Dataset, teacher: Path) -> Path:
    """The folder that a way ends with."""
    recipe = Recipe(
        name=f"{name}-{way}-{share:g}-{seed}",
        model=str(teacher),
        teacher=str(teacher),
        data=replace(TASKS[name].source, unlabelled=None),
        steps=steps_of(name, way, share, dataset),
        seed=seed,
    )
    done = run(recipe, OURS / name / f"{way}-{share:g}-{seed}", dataset=dataset, watch=show)
    write_manifest(done.saved, manifest(dataset))
    return done.saved


def steps_of(name: str, way: str, share: float, dataset: Dataset) -> tuple[Step, ...]:
    """A way as steps of a recipe."""
    if way == "sparse-gpt":
        return SparseGpt(keep=share), PackSparse()
    answer = Logits() if dataset.task.kind == "regression" else SoftTargets()
    taught = Distill(
        objectives=(answer, HiddenStates(), Labels()),
        train=setup(name, dataset),
        unlabelled=False,
        regain=False,
    )
    schedule = Cubic(hold=0.1, cool=0.3)
    saliency = {
        "magnitude": WeightMagnitude(),
        "movement": Movement(rate=100.0),
        "surgeon": BrainSurgeon(block=8),
        "structured": Movement(rate=100.0),
    }[way]
    every = 100 if way == "surgeon" else 10
    sparse = Sparsify(by=taught, keep=share, saliency=saliency, schedule=schedule, every=every)
    if way == "structured":
        return replace(sparse, pattern=Hybrid()), DropEmpty(), Int8()
    return sparse, PackSparse()


def setup(name: str, dataset: Dataset) -> TrainSetup:
    """A training of about so many steps, whatever the number of texts."""
    epochs = round(STEPS[name] * BATCH / len(dataset.train), 3)
    return TrainSetup(epochs=epochs, learning_rate=1e-4, batch_size=BATCH, evaluations=3)


def tickets(name: str, seed: int) -> None:
    """Lottery tickets of the pre-trained encoder on a task, with their controls."""
    dataset = dataset_of(name)
    by = Finetune(train=setup(name, dataset), regain=False)
    controls = ("random-weights", "random-mask", "signs")
    ticket = Lottery(by=by, rounds=7, remove=0.205, rewind=0.05, controls=controls)
    place = OURS / name / f"tickets-{seed}"
    recipe = Recipe(
        name=f"{name}-tickets-{seed}",
        model=MINILM,
        data=replace(TASKS[name].source, unlabelled=None),
        steps=(ticket,),
        seed=seed,
    )
    run(recipe, place, dataset=dataset, watch=show)
    known = read(QUALITIES) if QUALITIES.is_file() else []
    if any((e["event"], e["data"], e["seed"]) == ("ticket", name, seed) for e in known):
        return
    for event in read(place / "record.jsonl"):
        if event["event"] == "ticket":
            kept = {key: event[key] for key in ("round", "way", "kept", "quality")}
            Record(QUALITIES).write("ticket", data=name, seed=seed, **kept)


def record(name: str, seed: int, way: str, share: float, folder: Path, dataset: Dataset) -> None:
    """Append the qualities of one model in PyTorch fp32, unless they are there."""
    file = Record(QUALITIES)
    known = read(file.path) if file.path.is_file() else []
    here = (name, seed, way, share)
    if any(
        e["event"] == "quality" and (e["data"], e["seed"], e["way"], e["share"]) == here
        for e in known
    ):
        return
    model, tokenizer = open_model(str(folder), dataset, 0)
    found = {}
    for split in ("dev", "test"):
        encoded = encode_examples(getattr(dataset, split), tokenizer, dataset.task.kind, 128)
        found[split] = judge(encoded, dataset.task, None, "fp32")(model)
    file.write(
        "quality",
        data=name,
        seed=seed,
        way=way,
        share=share,
        metric=dataset.task.metric,
        stored=sum(path.stat().st_size for path in folder.glob("*.safetensors")),
        **found,
    )


def clock(name: str) -> None:
    """Time the structured students beside the teacher, all in int8."""
    dataset = dataset_of(name)
    served = {"teacher-int8": (teacher_of(name, dataset), "openvino", "int8")}
    for place in sorted((OURS / name).glob("structured-*-0")):
        folders = sorted(place.glob("*-int8/model"))
        if folders:
            served[place.name] = (folders[-1], "openvino", "int8")
    texts = dataset.test.take(list(range(min(400, len(dataset.test)))))
    quantities, measured = measure_folders(served, texts.texts, texts.pairs)
    for system in served:
        Record(CLOCKS).write(
            "clock",
            data=name,
            system=system,
            quantities=quantities[system],
            over_teacher=measured.speedup("teacher-int8", system, "throughput"),
            environment=environment(),
        )


if __name__ == "__main__":
    main()
