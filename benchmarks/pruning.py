"""Ways to prune compared: what is left of a teacher's quality at each share of its weights.

    python benchmarks/pruning.py train sst2 banking77 rte --seeds 0 1 2
    python benchmarks/pruning.py train sst2 --ways blocks block-magnitude --shares 0.5 0.3 0.1 0.03
    python benchmarks/pruning.py tickets sst2 --seeds 0 1 2
    python benchmarks/pruning.py clock sst2 banking77 rte
    python benchmarks/pruning.py table    (writes docs/results/pruning.md)

Each line is a recipe run in `runs/pruning/`, resumable; what is finished is not done again. `train`
and `tickets` append to `docs/results/pruning.jsonl`, `clock` (on a quiet machine!) to
`docs/results/pruning-clock.jsonl`. Models are the foundation's teachers, of seed 0.
"""

import argparse
from pathlib import Path

from distillation import dataset_of, teacher_of
from foundation import manifest, show
from pruning_tables import CLOCKS, QUALITIES, write_tables
from pruning_tickets import tickets
from pruning_ways import OURS, SPARSE, STEPS, WAYS, source_of, steps_of

from leanformer.core.record import Record, read
from leanformer.data import Dataset, encode_examples
from leanformer.measure.environment import environment
from leanformer.measure.folders import measure_folders
from leanformer.measure.quality import session_outputs
from leanformer.models.anatomy.shape import shape_of
from leanformer.recipe import Recipe, open_model, run
from leanformer.runtime.backends import graph_file
from leanformer.runtime.manifest import write_manifest
from leanformer.runtime.serving.opening import open_session
from leanformer.train.evaluate import make_evaluator, quality

SHARES = (0.15, 0.05)


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
    whole = qualities(teacher, dataset)
    record(name, 0, "teacher", None, teacher, dataset, whole)
    for way in ways:
        if seed and way == "sparse-gpt":
            continue  # nothing in it is random
        for share in shares if way in SPARSE else [None]:
            folder = pruned(name, seed, way, share, dataset, teacher)
            record(name, seed, way, share, folder, dataset, whole)


def pruned(
    name: str, seed: int, way: str, share: float | None, dataset: Dataset, teacher: Path
) -> Path:
    """The folder that a way ends with."""
    label = way if share is None else f"{way}-{share:g}"
    recipe = Recipe(
        name=f"{name}-{label}-{seed}",
        model=str(teacher),
        teacher=str(teacher),
        data=source_of(name, way),
        steps=steps_of(name, way, share, dataset),
        seed=seed,
    )
    done = run(recipe, OURS / name / f"{label}-{seed}", dataset=dataset, watch=show)
    write_manifest(done.saved, manifest(dataset))
    return done.saved


def record(
    name: str,
    seed: int,
    way: str,
    share: float | None,
    folder: Path,
    dataset: Dataset,
    whole: dict[str, float],
) -> None:
    """Append the qualities of one model, beside those of its teacher, unless they are there."""
    file = Record(QUALITIES)
    known = read(file.path) if file.path.is_file() else []
    here = (name, seed, way, share)
    if any(
        e["event"] == "quality" and (e["data"], e["seed"], e["way"], e["share"]) == here
        for e in known
    ):
        return
    model, _ = open_model(str(folder), dataset, 0)
    file.write(
        "quality",
        data=name,
        seed=seed,
        way=way,
        share=share,
        metric=dataset.task.metric,
        shape=shape_of(model).json(),
        stored=sum(path.stat().st_size for path in folder.glob("*.safetensors")),
        whole=whole,
        **qualities(folder, dataset),
    )


def qualities(folder: Path, dataset: Dataset) -> dict[str, float]:
    """What a model reaches in PyTorch fp32, and in int8 where it is exported so."""
    model, tokenizer = open_model(str(folder), dataset, 0)
    exported = graph_file(folder, "openvino", "int8").is_file()
    found: dict[str, float] = {}
    for split in ("dev", "test"):
        encoded = encode_examples(getattr(dataset, split), tokenizer, dataset.task.kind, 128)
        found[split] = make_evaluator(encoded, dataset.task, None, "fp32")(model)
        if exported:
            said = session_outputs(open_session(folder, "openvino", "int8"), encoded)
            found[f"{split}_int8"] = quality(said, encoded, dataset.task)
    return found


def clock(name: str) -> None:
    """Time what was made smaller beside the teacher, all in int8."""
    dataset = dataset_of(name)
    served = {"teacher-int8": (teacher_of(name, dataset), "openvino", "int8")}
    for place in sorted((OURS / name).glob("*-0")):
        folders = sorted(place.glob("*-int8/model"))
        if folders:
            served[place.name.removesuffix("-0")] = (folders[-1], "openvino", "int8")
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
