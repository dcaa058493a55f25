"""Writing a corpus as token ids: shard after shard, each whole or absent.

    shard-00000/  train.ids      ids, uint16 where the vocabulary allows it, else uint32
                  train.ends     where each document ends in them, int64
                  held_out.ids   held_out.ends        the documents for evaluation
                  shard.json     documents, tokens, a digest of all texts up to its end
                  parts.json     sizes and checksums of these files

A killed writer leaves whole shards, which stay; the one that was cut short is written again. The
texts up to there are read again, not tokenized, so that a changed corpus is noticed.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from leanformer.core.shards import whole_shards
from leanformer.core.storage.files import new_folder
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.parts import list_parts

Split = Literal["train", "held_out"]
SPLITS: tuple[Split, ...] = ("train", "held_out")
FACTS = "shard.json"
_WINDOW = 2**16  # tokens that are written at once


@dataclass(frozen=True)
class Tokenized:
    """A document as it is stored.

    Attributes:
        text: Its text.
        ids: Its token ids; empty where it has none.
        split: Which side it is on.
    """

    text: str
    ids: list[int]
    split: Split


@dataclass(frozen=True)
class Shard:
    """What a shard holds.

    Attributes:
        name: Of its folder.
        documents: Documents that were read for it, those without a token included.
        texts: Digest of all texts from the beginning of the corpus to its end.
        characters: Characters of its texts.
        train_documents: Documents to train on.
        train_tokens: Their tokens.
        held_out_documents: Documents for evaluation.
        held_out_tokens: Their tokens.
    """

    name: str
    documents: int
    texts: str
    characters: int
    train_documents: int
    train_tokens: int
    held_out_documents: int
    held_out_tokens: int

    def documents_of(self, split: Split) -> int:
        """Documents of a split."""
        return self.train_documents if split == "train" else self.held_out_documents

    def tokens_of(self, split: Split) -> int:
        """Tokens of a split."""
        return self.train_tokens if split == "train" else self.held_out_tokens


class Texts:
    """A digest of a growing number of texts."""

    def __init__(self) -> None:
        self._seen = hashlib.blake2b(digest_size=32)

    def add(self, text: str) -> None:
        """Take in the next text."""
        raw = text.encode()
        self._seen.update(len(raw).to_bytes(8, "little"))
        self._seen.update(raw)

    @property
    def digest(self) -> str:
        """Of all texts so far; equal digests, equal texts in equal order."""
        return f"blake2b:{self._seen.hexdigest()}"


def split_of(text: str, held_out: float) -> Split:
    """The side that a text is on; a hash decides, so equal texts are on one side.

    Args:
        text: The text; white space around it does not count.
        held_out: Share of the documents that is held out.
    """
    found = hashlib.blake2b(text.strip().encode(), digest_size=8).digest()
    return "held_out" if int.from_bytes(found, "little") < held_out * 2**64 else "train"


def dtype_of(largest: int) -> str:
    """The smallest type that holds ids up to `largest`, as numpy writes it."""
    return "<u2" if largest < 2**16 else "<u4"


def write_shard(
    path: Path, documents: Iterable[Tokenized], texts: Texts, dtype: str, tokens: int
) -> Shard:
    """Write documents to a new shard until it has `tokens` tokens.

    Args:
        path: The folder of the shard.
        documents: What is left of the corpus; only what is written is taken from it.
        texts: Of all documents before; they grow by those that are written.
        dtype: Type of an id.
        tokens: A shard ends with the document that reaches so many.
    """
    with new_folder(path, overwrite=True) as folder:
        writers = {split: _Writer(folder, split, dtype) for split in SPLITS}
        read = characters = 0
        try:
            for one in documents:
                texts.add(one.text)
                read, characters = read + 1, characters + len(one.text)
                writers[one.split].write(one.ids)
                if sum(writer.tokens for writer in writers.values()) >= tokens:
                    break
        finally:
            for writer in writers.values():
                writer.close()
        train, held_out = writers["train"], writers["held_out"]
        shard = Shard(
            path.name,
            read,
            texts.digest,
            characters,
            len(train.ends),
            train.tokens,
            len(held_out.ends),
            held_out.tokens,
        )
        (folder / FACTS).write_text(json.dumps(asdict(shard)))
        list_parts(folder)
    return shard


def written_shards(folder: Path) -> Iterator[Shard]:
    """The shards that are whole, from the first; each is compared with its checksums.

    Raises:
        ValueError: One was altered or damaged.
    """
    return (Shard(**read_json(place / FACTS)) for place in whole_shards(folder))


class _Writer:
    """The ids of a split of a shard, as they come."""

    def __init__(self, folder: Path, split: Split, dtype: str) -> None:
        self.tokens, self.ends = 0, array("q")
        self._file = (folder / f"{split}.ids").open("wb")
        self._ends, self._dtype, self._held = folder / f"{split}.ends", dtype, list[int]()

    def write(self, ids: list[int]) -> None:
        if ids:
            self.tokens += len(ids)
            self.ends.append(self.tokens)
            self._held += ids
            if len(self._held) >= _WINDOW:
                self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()
        ends: Any = np.frombuffer(self.ends, np.int64) if self.ends else np.empty(0, np.int64)
        self._ends.write_bytes(ends.astype("<i8").tobytes())

    def _flush(self) -> None:
        self._file.write(np.array(self._held, self._dtype).tobytes())
        self._held = []
