"""What the tests of cascades share: two small systems, a transformer and n-grams, and texts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from runtime_samples import plain_folder

import leanformer
from leanformer.data import Examples, Task
from leanformer.measure.tfidf import fit_tfidf
from leanformer.runtime.gates import find_gate
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.systems.cascade import save_cascade

WORDS = ("dog", "fox", "cat", "card", "money", "back", "film", "slow", "quiet", "bowl")
TEXTS = [f"{a} {b}" for a in WORDS for b in WORDS[:4]]
LABELS = ("pet", "bank", "film")
NAMES = ("n-grams", "teacher")


def ngrams(folder: Path, kind: str = "classification", **settings: Any) -> Path:
    """Fitted on three topics, so that other texts are unsure."""
    texts = ["dog fox", "cat dog", "card money", "money back", "film slow", "quiet film"]
    given: Any = [0, 0, 1, 1, 2, 2]
    words = None
    if kind == "multi-label":
        given = [[1.0, 0.0, 0.0], [1.0, 0, 0], [0, 1.0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 1]]
    if kind == "tokens":
        words = [text.split() for text in texts]
        given = [[0, 1], [1, 0], [2, 0], [0, 2], [1, 2], [2, 1]]
    pairs = texts[::-1] if settings.pop("pairs", False) else None
    examples = Examples(texts=texts, labels=given, words=words, pairs=pairs)
    labels = settings.pop("labels", labels_of(kind))
    fit_tfidf(examples, Task(kind=kind, labels=labels)).save(folder)
    return folder


def transformer(
    folder: Path, kind: str = "classification", *, max_length: int = 32, **settings: Any
) -> Path:
    """A tiny random BERT, served by PyTorch."""
    head = "classification" if kind == "multi-label" else kind
    plain_folder(folder, head, **{"labels": labels_of(kind), **settings})
    about = replace(read_manifest(folder), kind=kind, max_length=max_length)
    write_manifest(folder, about)
    return folder


def labels_of(kind: str) -> tuple[str, ...]:
    return ("O", "B-X", "B-Y") if kind == "tokens" else LABELS


def cascade(
    folder: Path, first: Path, second: Path, threshold: float = 0.3, **settings: Any
) -> Path:
    """At a margin that some of the texts have, unless given."""
    named = {"gate": "margin", "deferred": 20, "texts": 40, "names": NAMES, **settings}
    save_cascade(folder, first, second, threshold=threshold, **named)
    return folder


def halfway(folder: Path, gate: str = "margin") -> float:
    """The threshold at which a system passes on half of the texts."""
    predictor = leanformer.load(folder)
    return float(
        np.median(find_gate(gate).scores(predictor.answer(TEXTS), predictor.manifest.kind))
    )
