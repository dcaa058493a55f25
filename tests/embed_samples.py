"""What the tests of embedding files share: an encoder that takes no time, and files of texts."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.embed.encoder import Encoder


class Hashing(Encoder):
    """Vectors made of a hash of prompt and text; it can remember what it was asked."""

    precision = "fp32"
    max_length = 8

    def __init__(
        self,
        identity: str = "hashing",
        width: int = 6,
        lengths_count: bool = False,
        remembers: bool = True,
    ) -> None:
        self.identity, self.width, self.lengths_count = identity, width, lengths_count
        self.prompts = {"query": "where is ", "passage": "p: "}
        self.asked, self.remembers = list[str](), remembers

    def encode(self, texts: Sequence[str], *, prompt: str | None = None) -> NDArray[np.float32]:
        if prompt and prompt not in self.prompts:
            raise ValueError(f"no prompt {prompt!r}")
        self.asked += texts if self.remembers else []
        before = self.prompts[prompt] if prompt else ""
        rows = [self.vector(before + text) for text in texts]
        return np.array(rows, np.float32).reshape(len(rows), self.width)

    def vector(self, text: str) -> NDArray[np.float32]:
        raw = hashlib.blake2b(text.encode(), digest_size=self.width).digest()
        return np.frombuffer(raw, np.uint8).astype(np.float32) - 127.5


def write_texts(path: Path, count: int, first: int = 0) -> list[str]:
    """A csv file of so many texts of uneven length, with duplicates, and blank lines between."""
    texts = [f"text {n % 37} {'é' * (n % 11)}" for n in range(first, count)]
    with path.open("a" if first else "w", encoding="utf-8") as file:
        file.write("" if first else "key,text\n")
        for number, text in enumerate(texts, first):
            file.write(f"k{number},{text}\n" + "\n" * (number % 5 == 0))
    return texts


def contents_of(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
