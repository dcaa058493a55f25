"""What a trained classifier of long texts is worth when its attention is exchanged.

    python benchmarks/attention_quality.py train    (a recipe a mechanism, resumable)
    python benchmarks/attention_quality.py clock    (on a quiet machine!)
    python benchmarks/attention_quality.py table    (writes docs/results/attention-quality.md)

The foundation's SST-2 classifier (all-MiniLM-L6) is given 1,024 places and learns IMDB's long
reviews with dense attention. Then each mechanism takes the place of dense attention in all layers:
judged at once, and again after a short fine-tune, of which dense attention gets the same. Texts are
reviews of 600 words and more (930 tokens in the median), both labels alike; the test split is
IMDB's own. `train` appends to `docs/results/attention-quality.jsonl`, `clock` to
`attention-quality-clock.jsonl`.
"""

import argparse
import gzip
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from attention_quality_table import CLOCKS, QUALITIES, write_table
from distillation import dataset_of, teacher_of
from foundation import show
from foundation_plans import SHARED
from foundation_tables import ROOT

from leanformer.attention.attend import Attend
from leanformer.attention.bench.timed import time_model
from leanformer.attention.extend_positions import ExtendPositions
from leanformer.attention.mechanism import Mechanism
from leanformer.attention.presets import bigbird, longformer, mechanisms
from leanformer.core.record import Record, read
from leanformer.core.storage.files import write_text
from leanformer.data import Source, encode_examples
from leanformer.measure.environment import environment
from leanformer.recipe import Recipe, open_model, run
from leanformer.train.evaluate import outputs, quality
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.finetune import Finetune

OURS = ROOT / "runs" / "attention-quality"
LENGTH = 1024
WORDS = 600
SPLITS = {"train": ("train", 480), "dev": ("train", 100), "test": ("test", 300)}
TEACHER = TrainSetup(
    epochs=2, learning_rate=5e-5, batch_size=16, evaluations=4, checkpoint_seconds=120
)
AFTER = replace(TEACHER, epochs=1 / 3, learning_rate=2e-5, evaluations=1)
OTHERS = (
    "lsh",
    "nystrom",
    "clustered",
    "linear",
    "performer",
    "linformer",
    "synthesizer",
    "sinkhorn",
)
WAYS: dict[str, Mechanism | None] = {
    "dense": None,
    "longformer": longformer(256),
    "bigbird": bigbird(block_size=32),
    **{name: mechanisms()[name] for name in OTHERS},
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "clock", "table"])
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    asked = parser.parse_args()
    if asked.what == "table":
        write_table()
        return
    teacher = long_teacher()
    for way in asked.ways:
        {"train": train, "clock": clock}[asked.what](way, teacher)


def reviews() -> Source:
    """The long reviews as a folder of three files, written once."""
    folder = OURS / "reviews"
    used: set[str] = set()
    for split, (official, count) in SPLITS.items():
        target = folder / f"{split}.tsv"
        if not target.is_file():
            long = [line for line in long_reviews(official) if line not in used]
            kept = [line for label in "01" for line in _labelled(long, label)[: count // 2]]
            write_text(target, "\n".join(["text\tlabel", *kept]) + "\n")
        used |= set(target.read_text().splitlines())
    return Source(path=str(folder), kind="classification")


def long_reviews(split: str) -> list[str]:
    """Reviews of many words in an order drawn at random, as lines of text and label."""
    with gzip.open(SHARED / "sentiment/imdb" / f"{split}.tsv.gz", "rt") as lines:
        rows = [line.rstrip("\n").split("\t")[:2] for line in lines][1:]
    long = [
        f"{text.replace('<br />', ' ')}\t{label}"
        for text, label in rows
        if len(text.split()) >= WORDS
    ]
    random.Random(0).shuffle(long)
    return long


def _labelled(lines: list[str], label: str) -> list[str]:
    return [line for line in lines if line.endswith(f"\t{label}")]


def long_teacher() -> Path:
    """The dense model that reads 1,024 tokens."""
    recipe = Recipe(
        name="imdb-long-teacher",
        model=str(teacher_of("sst2", dataset_of("sst2"))),
        data=reviews(),
        steps=(ExtendPositions(length=LENGTH), tuned(TEACHER)),
    )
    return run(recipe, OURS / "teacher", watch=show).saved


def tuned(setup: TrainSetup, **settings: Any) -> Finetune:
    """The step that trains; weights of attention that are never written down cannot be dropped."""
    return Finetune(train=setup, max_length=LENGTH, dropout=False, **settings)


def train(way: str, teacher: Path) -> None:
    """One mechanism: what it is worth at once, and after a short fine-tune."""
    if QUALITIES.is_file() and any(event["way"] == way for event in read(QUALITIES)):
        return
    mechanism = WAYS[way]
    exchanged = () if mechanism is None else (Attend(mechanism=mechanism),)
    recipe = Recipe(
        name=f"imdb-long-{way}",
        model=str(teacher),
        data=reviews(),
        steps=(*exchanged, tuned(AFTER, load_best_at_end=False, require_improvement=False)),
    )
    saved = run(recipe, OURS / way, watch=show).saved
    at_once = teacher if mechanism is None else next((OURS / way).glob("00-*")) / "model"
    Record(QUALITIES).write("quality", way=way, at_once=accuracy(at_once), tuned=accuracy(saved))


def accuracy(folder: Path) -> float:
    """Of a saved model on the test reviews."""
    dataset = reviews().read()
    model, tokenizer = open_model(str(folder), dataset, 0)
    encoded = encode_examples(dataset.test, tokenizer, dataset.task.kind, LENGTH)
    found = outputs(model, encoded, dataset.task.kind, batch_size=8)
    return quality(found, encoded, dataset.task)


def clock(way: str, teacher: Path) -> None:
    """Time one saved model on a text of 1,024 tokens, and dense attention beside it."""
    dataset = reviews().read()
    folders = {"dense": teacher, way: sorted((OURS / way).glob("*/model"))[-1]}
    seconds = {
        name: time_model(open_model(str(folder), dataset, 0)[0], LENGTH, rounds=9)
        for name, folder in folders.items()
    }
    Record(CLOCKS).write("clock", way=way, seconds=seconds, environment=environment())


if __name__ == "__main__":
    main()
