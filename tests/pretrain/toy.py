"""A pre-training small enough to run many times: random words, a model of two layers."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from leanformer.pretrain import Pretraining, described

WORDS = [
    "the",
    "a",
    "small",
    "big",
    "red",
    "cat",
    "dog",
    "house",
    "runs",
    "sleeps",
    "over",
    "under",
    "blue",
    "sky",
    "tree",
    "quickly",
]


def write_corpus(file: Path, seed: int = 0, documents: int = 120) -> Path:
    """A text file of random words, one document per line."""
    chance = random.Random(seed)
    lines = (" ".join(chance.choices(WORDS, k=chance.randint(3, 14))) for _ in range(documents))
    file.write_text("\n".join(lines))
    return file


def recipe(corpus: Path, kind: str = "causal-lm", *settings: str, **fields: Any) -> Pretraining:
    """A recipe of 8 steps or so."""
    table: dict[str, Any] = {
        "corpus": {"paths": [str(corpus)], "held_out": 0.1},
        "model": {
            "architecture": "gpt2" if kind == "causal-lm" else "bert",
            "layers": 2,
            "width": 32,
            "heads": 2,
        },
        "tokenizer": {"vocabulary": 300 if kind == "causal-lm" else 80},
        "max_length": 32,
        "log_steps": 2,
        "report_to": [],
        "samples": {"tokens": 4},
        "train": {
            "steps": 8,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "evaluations": 2,
            "precision": "fp32",
            "checkpoint_seconds": 0,
        },
    }
    return described(table | fields, settings)


def patience(stops_after: int) -> Callable[[], AbstractContextManager[Callable[[], bool]]]:
    """Asks the training to stop after so many steps."""

    @contextmanager
    def made() -> Iterator[Callable[[], bool]]:
        asked: list[int] = []

        def stop() -> bool:
            asked.append(1)
            return len(asked) >= stops_after

        yield stop

    return made
