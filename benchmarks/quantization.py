"""Ways to quantize compared: one model a task, what it still says, and how large and fast it is.

    python benchmarks/quantization.py train banking77 sst2 stsb rte --seeds 0 1 2
    python benchmarks/quantization.py clock banking77 sst2 stsb rte
    python benchmarks/quantization.py table    (writes docs/results/quantization.md)

Each line is a recipe run in `runs/quantization/`, resumable; what is finished is not done again.
`train` appends to `docs/results/quantization.jsonl`, `clock` (on a quiet machine!) to
`docs/results/quantization-clock.jsonl`. Models are the foundation's teachers, of seed 0. Ways
without training have no seed; `--ways` names some.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from distillation import dataset_of, teacher_of
from distillation_ways import TASKS
from foundation import manifest, show
from quantization_tables import CLOCKS, QUALITIES, write_tables
from quantization_ways import OURS, TRAINED, UNTRAINED, source_of, steps_of

from leanformer.core.record import Record, read
from leanformer.data import Dataset, encode_examples
from leanformer.measure.environment import environment
from leanformer.measure.folders import measure_folders
from leanformer.measure.quality import session_outputs
from leanformer.quantize.int8 import Int8
from leanformer.quantize.pack import Pack
from leanformer.quantize.weight_only import WeightOnly
from leanformer.recipe import Recipe, open_model, run
from leanformer.runtime.backends import graph_file
from leanformer.runtime.manifest import write_manifest
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.serving.opening import open_session
from leanformer.runtime.session import Precision, Session
from leanformer.runtime.systems.transformer import Transformer
from leanformer.text import reader_of
from leanformer.train.evaluate import quality

CLOCKED = ("nncf", "own", "own-onnx")  # of the ways without training
TEXTS = 256  # of the test split, that are timed


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "clock", "table"])
    parser.add_argument("names", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    ways = ["torchao", "onnxruntime", *UNTRAINED, *TRAINED]
    parser.add_argument("--ways", nargs="*", choices=ways, default=ways)
    asked = parser.parse_args()
    if asked.what == "table":
        write_tables()
        return
    for name in asked.names:
        if asked.what == "clock":
            clock(name)
            continue
        for seed in asked.seeds:
            train(name, seed, asked.ways)


def train(name: str, seed: int, ways: list[str]) -> None:
    """Every way for one task, judged on dev and once on test."""
    dataset = dataset_of(name)
    teacher = teacher_of(name, dataset)
    whole = served(teacher, "pytorch", "fp32")
    exact = {split: answers(whole, teacher, dataset, split) for split in ("dev", "test")}
    note(name, 0, "fp32", whole, teacher, dataset, exact)
    for way in ways:
        if known(name, seed, way) or (seed and way not in TRAINED):
            continue
        if way == "torchao":
            note(
                name,
                0,
                way,
                Made(lambda: torchao(teacher, dataset).session),
                teacher,
                dataset,
                exact,
            )
        elif way == "onnxruntime":
            folder = onnxruntime(name, dataset, teacher)
            note(name, 0, way, served(folder, "onnxruntime", "int8"), folder, dataset, exact)
        else:
            folder = quantized(name, seed, way, teacher)
            made = served(folder, *run_by(way))
            note(name, seed, way, made, folder, dataset, exact)


@dataclass(frozen=True)
class Made:
    """What a way made: how to open it, and the bytes of its weights where they are in a file."""

    open: Callable[[], Session]
    weights: int | None = None


def served(folder: Path, backend: str, precision: Precision) -> Made:
    """An exported folder on a backend."""
    graph = graph_file(folder, backend, precision)
    weights = graph.with_suffix(".bin") if backend == "openvino" else graph
    return Made(partial(open_session, folder, backend, precision), weights.stat().st_size)


def run_by(way: str) -> tuple[str, Precision]:
    """Who runs what a way ends with."""
    last = UNTRAINED[way][-1] if way in UNTRAINED else Int8()
    if isinstance(last, WeightOnly | Pack):
        return "pytorch", "fp32"
    return ("onnxruntime" if isinstance(last, Int8) and last.onnx else "openvino"), "int8"


def torchao(
    teacher: Path, dataset: Dataset, threads: int | None = None, rows: int | None = None
) -> Transformer:
    """The teacher in torchao's int8."""
    from torchao_rival import TorchAoSession  # asked for by this way alone

    model, tokenizer = open_model(str(teacher), dataset, 0)
    pairs = dataset.train.pairs is not None
    session = TorchAoSession(model, dataset.task.kind, pairs=pairs, threads=threads)
    described = manifest(dataset)
    return Transformer(session, reader_of(tokenizer, described.max_length), described)


def quantized(name: str, seed: int, way: str, teacher: Path) -> Path:
    """The folder that a way ends with."""
    source = source_of(name, way)
    dataset = source.read()
    recipe = Recipe(
        name=f"{name}-{way}-{seed}",
        model=str(teacher),
        teacher=str(teacher),
        data=source,
        steps=steps_of(name, way, dataset, bits_of(name, way)),
        seed=seed,
    )
    done = run(recipe, OURS / name / f"{way}-{seed}", dataset=dataset, watch=show)
    write_manifest(done.saved, manifest(dataset))
    return done.saved


def bits_of(name: str, way: str) -> tuple[int, ...] | None:
    """What another seed measured that each layer needs: curvature is the task's; None where none
    has."""
    rows = [e for e in read(QUALITIES) if (e["data"], e["way"]) == (name, way) and e.get("bits")]
    return tuple(rows[0]["bits"]) if rows else None


def onnxruntime(name: str, dataset: Dataset, teacher: Path) -> Path:
    """onnxruntime's dynamic int8 on the fused graph."""
    folder = OURS / name / "onnxruntime"
    target = graph_file(folder, "onnxruntime", "int8")
    if not target.is_file():
        model, tokenizer = open_model(str(teacher), dataset, 0)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        pairs = dataset.train.pairs is not None
        export_onnx(model, dataset.task.kind, target.parent, precision="int8", pairs=pairs)
        write_manifest(folder, manifest(dataset))
    return folder


def answers(made: Made, folder: Path, dataset: Dataset, split: str) -> list[np.ndarray]:
    """What a way says about a split."""
    _, tokenizer = open_model(str(folder), dataset, 0)
    encoded = encode_examples(getattr(dataset, split), tokenizer, dataset.task.kind, 128)
    return session_outputs(made.open(), encoded)


def known(name: str, seed: int, way: str) -> bool:
    """Whether a way has been judged already."""
    events = read(QUALITIES) if QUALITIES.is_file() else []
    return any((e["data"], e["seed"], e["way"]) == (name, seed, way) for e in events)


def note(
    name: str,
    seed: int,
    way: str,
    made: Made,
    folder: Path,
    dataset: Dataset,
    exact: dict[str, list[np.ndarray]],
) -> None:
    """Append what one way says, unless it is there."""
    if known(name, seed, way):
        return
    _, tokenizer = open_model(str(folder), dataset, 0)
    found = {}
    for split in ("dev", "test"):
        encoded = encode_examples(getattr(dataset, split), tokenizer, dataset.task.kind, 128)
        said = answers(made, folder, dataset, split)
        found[split] = quality(said, encoded, dataset.task)
        found[f"{split}_fp32"] = quality(exact[split], encoded, dataset.task)
        ours, theirs = np.stack(said), np.stack(exact[split])
        found[f"{split}_error"] = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
        product = np.vdot(ours, theirs) / np.linalg.norm(ours) / np.linalg.norm(theirs)
        found[f"{split}_cosine"] = float(product)
    place = OURS / name / f"{way}-{seed}"
    packed = list(place.glob("*-pack/model/model.safetensors"))
    Record(QUALITIES).write(
        "quality",
        data=name,
        seed=seed,
        way=way,
        metric=dataset.task.metric,
        weights=made.weights,
        packed=packed[0].stat().st_size if packed else None,
        kept_float=_kept_float(place),
        bits=_bits(place),
        **found,
    )


def _kept_float(place: Path) -> int | None:
    """How many layers `keep` left in floating point; None where it was not asked for."""
    tried = _recorded(place, "kept_float")
    held = [len(e["layers"]) for e in tried if e["quality"] >= e["asked"]]
    return min(held) if held else None


def _bits(place: Path) -> list[int] | None:
    """The bits of each layer, where curvature chose them."""
    chosen = _recorded(place, "bits_by_layer")
    return [row["bits"] for row in chosen[-1]["rows"]] if chosen else None


def _recorded(place: Path, event: str) -> list[dict[str, Any]]:
    """Events of a kind in a run's record; none where a way has no run."""
    file = place / "record.jsonl"
    return [e for e in read(file) if e["event"] == event] if file.is_file() else []


def clock(name: str) -> None:
    """Time ways side by side; those whose graphs differ by their scales alone take the same time,
    and one of them stands for all."""
    dataset = dataset_of(name)
    teacher = teacher_of(name, dataset)
    folders = {"fp32": (teacher, "pytorch", "fp32"), "bf16": (teacher, "pytorch", "bf16")}
    folders["onnxruntime"] = (onnxruntime(name, dataset, teacher), "onnxruntime", "int8")
    for way in CLOCKED:
        folders[way] = (quantized(name, 0, way, teacher), *run_by(way))
    for way in TRAINED:
        if found := sorted((OURS / name).glob(f"{way}-[0-9]/*-int8/model")):
            folders[way] = (found[0], *run_by(way))
    others = {"torchao": partial(torchao, teacher, dataset)}
    texts = dataset.test.take(list(range(min(TEXTS, len(dataset.test)))))
    quantities, measured = measure_folders(folders, texts.texts, texts.pairs, others=others)
    for system in (*folders, *others):
        Record(CLOCKS).write(
            "clock",
            data=name,
            system=system,
            quantities=quantities[system],
            over_nncf=measured.speedup("nncf", system, "throughput"),
            environment=environment(),
        )


if __name__ == "__main__":
    main()
