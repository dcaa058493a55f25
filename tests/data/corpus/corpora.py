"""Corpora small enough to prepare in a test: random words of the tiny tokenizers' texts."""

import random
from pathlib import Path
from typing import Any

from leanformer.data.corpus import Corpus, Packing, PreparedCorpus, prepare
from leanformer.models.tiny_tokenizers import TEXTS, tiny_tokenizer

WORDS = sorted({word.strip(",!?") for text in TEXTS for word in text.split()})


def texts_of(count: int, seed: int = 0, most: int = 30) -> list[str]:
    """Texts of 1 to `most` words."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, most))) for _ in range(count)]


def written(path: Path, texts: list[str]) -> Path:
    """A text per line."""
    path.write_text("\n".join(texts) + "\n")
    return path


def prepared(
    folder: Path,
    texts: list[str],
    *,
    family: str = "gpt2",
    kind: str = "causal-lm",
    packing: Packing = "packed",
    max_length: int = 48,
    held_out: float = 0.0,
    **settings: Any,
) -> PreparedCorpus:
    """A corpus of these texts, in rows for a tiny model of `family`."""
    corpus = Corpus(paths=str(written(folder / "texts.txt", texts)), held_out=held_out)
    return prepare(
        corpus,
        tiny_tokenizer(family),
        folder / "corpus",
        kind=kind,
        max_length=max_length,
        packing=packing,
        **settings,
    )
