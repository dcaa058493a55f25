"""Texts to be searched, and an encoder and a cross-encoder that cost nothing."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.embed import Encoder
from leanformer.retrieve.searching import Reranker
from leanformer.retrieve.searching.texts.terms import terms

NOTES = {
    "blood.md": "# Blood\n\nHemoglobin carries oxygen from the lungs. Iron makes it red.",
    "post/parcel.txt": "The sender pays for the parcel. A stamp costs one euro.",
    "post/letter.txt": "Letters are carried by the postman on a yellow bicycle.",
    "東京.md": "東京タワーは高いです。 The tower stands in Tokyo.",
    "blank.txt": " \n",
}


def write_notes(folder: Path) -> Path:
    """A folder of texts, with other files in it."""
    for name, text in NOTES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".hidden.md").write_text("hidden treasure")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


class WordHashes(Encoder):
    """Sums a fixed random vector per term: close texts share terms. It counts what it reads."""

    prompts: dict[str, str]

    def __init__(self, width: int = 24, identity: str = "word-hashes") -> None:
        self.width, self.identity, self.precision = width, identity, "fp32"
        self.max_length, self.prompts, self.lengths_count = 512, {}, False
        self.read = 0

    def encode(self, texts: Sequence[str], *, prompt: str | None = None) -> NDArray[np.float32]:
        assert prompt is None
        assert all(text.strip() for text in texts)
        self.read += len(texts)
        vectors = np.array([self._vector(text) for text in texts], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _vector(self, text: str) -> NDArray[np.float64]:
        seeds = [
            hashlib.blake2b(one.encode(), digest_size=8).digest() for one in ["", *terms(text)]
        ]
        drawn = (np.random.default_rng(int.from_bytes(seed)) for seed in seeds)
        return np.sum([one.normal(size=self.width) for one in drawn], axis=0)


class Longest(Reranker):
    """Prefers long passages."""

    def __init__(self) -> None:
        self.read = 0

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float64]:
        self.read += len(passages)
        return np.array([len(passage) / 1000 for passage in passages])
