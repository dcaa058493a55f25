"""Reading a corpus of token ids: files mapped into memory, so that none of it is held.

    tokens.json    {"format": 1, "identity": …, "shards": […], "parts": {…}, "digest": …, …}

A token of a split is found by its number in all shards together. Sizes are compared whenever a
corpus is opened, checksums where somebody asks for it.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.shards import read_table, write_table
from leanformer.core.storage.parts import compare_parts
from leanformer.data.corpus.shards import Shard, Split

LISTING = "tokens.json"
_FORMAT = 1


@dataclass(frozen=True)
class Listing:
    """What a finished folder of shards holds.

    Attributes:
        identity: What decides it: texts, tokenizer, share that is held out; JSON values.
        dtype: Type of an id.
        before: Ids before each piece of a document in a row.
        after: Ids after it.
        shards: The shards, in order.
        parts: Sizes and checksums of their files.
    """

    identity: dict[str, Any]
    dtype: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    shards: tuple[Shard, ...]
    parts: dict[str, Any] = field(repr=False)

    def documents(self, split: Split) -> int:
        """Documents of a split."""
        return sum(shard.documents_of(split) for shard in self.shards)

    def tokens(self, split: Split) -> int:
        """Tokens of a split."""
        return sum(shard.tokens_of(split) for shard in self.shards)


def write_listing(folder: Path, listing: Listing) -> None:
    """Write `tokens.json`, when all shards are whole."""
    write_table(folder / LISTING, asdict(listing), _FORMAT)


def read_listing(folder: Path) -> Listing:
    """What `write_listing` wrote, after the sizes of all files were compared.

    Raises:
        ValueError: It is missing, damaged, or of another version, or a file has another size.
    """
    unfinished = "the corpus was not prepared to its end"
    table = read_table(folder / LISTING, _FORMAT, unfinished, _way_out(folder))
    shards = tuple(Shard(**one) for one in table.pop("shards"))
    before, after = tuple(table.pop("before")), tuple(table.pop("after"))
    listing = Listing(shards=shards, before=before, after=after, **table)
    _compare(folder, listing, checksums=False)
    return listing


def check_tokens(folder: Path, listing: Listing) -> None:
    """Compare every file of the shards with its checksum.

    Raises:
        ValueError: A file is missing or altered.
    """
    _compare(folder, listing, checksums=True)


def _compare(folder: Path, listing: Listing, *, checksums: bool) -> None:
    compare_parts(
        folder,
        listing.parts,
        _way_out(folder),
        extra="ignore",
        named_by=LISTING,
        checksums=checksums,
    )


def _way_out(folder: Path) -> str:
    return f"remove {folder} and prepare the corpus again"


class TokenFile:
    """The token ids of one split of a corpus.

    Attributes:
        documents: Number of documents.
        tokens: Number of tokens.
        begins: For each shard, the number of its first token; and the number of all.
    """

    def __init__(self, folder: Path, listing: Listing, split: Split) -> None:
        own = [shard for shard in listing.shards if shard.documents_of(split)]
        self.documents, self.tokens = listing.documents(split), listing.tokens(split)
        counts = [shard.tokens_of(split) for shard in own]
        self.begins = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        places = [folder / shard.name for shard in own]
        self._ids = [_mapped(place / f"{split}.ids", listing.dtype) for place in places]
        self._ends = [_mapped(place / f"{split}.ends", "<i8") for place in places]

    @property
    def shards(self) -> int:
        """Number of shards that hold something."""
        return len(self._ids)

    def ends(self, shard: int) -> NDArray[np.int64]:
        """Where the documents of a shard end, as numbers of tokens of that shard."""
        return self._ends[shard]

    def read(self, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[Any]:
        """The tokens of pieces, one piece after another.

        Args:
            starts: Number of the first token of each piece.
            counts: Tokens of each; a piece lies within one document.
        """
        if not len(starts):
            return np.empty(0, np.int64)
        shards = np.searchsorted(self.begins, starts, "right") - 1
        begins = starts - self.begins[shards]
        pieces = zip(shards.tolist(), begins.tolist(), (begins + counts).tolist(), strict=True)
        return np.concatenate([self._ids[shard][a:b] for shard, a, b in pieces])


def _mapped(file: Path, dtype: str) -> NDArray[Any]:
    """A file as an array of which only what is read comes into memory."""
    if not file.stat().st_size:
        return np.empty(0, dtype)
    return np.asarray(np.memmap(file, dtype, mode="r"))
