"""Embeddings on the disk: shard after shard, each whole or absent.

    shard-00000/  vectors.npy     the vectors [N, D], float32 or float16
                  ids.utf8        the ids, one after another
                  ids.ends        where each id ends in them, int64
                  skipped.jsonl   the rows that could not be read, and why
                  shard.json      rows, and a digest of all ids and texts up to its end
                  parts.json      sizes and checksums of these files

A killed run leaves whole shards, which stay; the one that was cut short is computed again.

Legend: N texts, D width of a vector.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.shards import whole_shards
from leanformer.core.storage.files import new_folder
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.parts import list_parts
from leanformer.data.corpus.records import Record
from leanformer.data.corpus.shards import Texts

VECTORS, IDS, ENDS, SKIPPED = "vectors.npy", "ids.utf8", "ids.ends", "skipped.jsonl"
_FACTS = "shard.json"


@dataclass(frozen=True)
class Shard:
    """What a shard holds.

    Attributes:
        name: Of its folder.
        rows: Vectors.
        read: Rows of the input that were read for it, those that were skipped included.
        texts: Digest of all ids and texts from the beginning of the input to its end.
    """

    name: str
    rows: int
    read: int
    texts: str


def take_in(texts: Texts, records: Iterable[Record]) -> str:
    """The digest of all rows so far, after it took in the next ones."""
    for record in records:
        texts.add(record.id)
        texts.add(record.text)
    return texts.digest


def write_shard(
    path: Path, window: Sequence[Record], vectors_ND: NDArray[Any], texts: str
) -> Shard:
    """Write a shard, in place of one that is there.

    Args:
        path: The folder of the shard.
        window: The rows that were read for it.
        vectors_ND: A vector for each of them that could be read, in their order.
        texts: Digest of all rows up to its end.

    Raises:
        DiskFull: There is no space for it.
    """
    good = [record for record in window if not record.error]
    assert len(good) == len(vectors_ND), "a vector for each row that could be read"
    ids = [record.id.encode() for record in good]
    skipped = [{"place": one.place, "error": one.error} for one in window if one.error]
    shard = Shard(path.name, len(good), len(window), texts)
    with new_folder(path, overwrite=True) as folder:
        np.save(folder / VECTORS, vectors_ND, allow_pickle=False)
        (folder / IDS).write_bytes(b"".join(ids))
        ends = np.fromiter(accumulate(map(len, ids)), "<i8", len(ids))
        (folder / ENDS).write_bytes(ends.tobytes())
        lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in skipped)
        (folder / SKIPPED).write_text("".join(lines), encoding="utf-8")
        (folder / _FACTS).write_text(json.dumps(asdict(shard)))
        list_parts(folder)
    return shard


def written_shards(folder: Path) -> Iterator[Shard]:
    """The shards that are whole, from the first; each is compared with its checksums.

    Raises:
        ValueError: One was altered or damaged; it is named.
    """
    return (Shard(**read_json(place / _FACTS)) for place in whole_shards(folder))


def ids_in(shard: Path) -> list[str]:
    """The ids of a shard, in order."""
    raw, ends = (shard / IDS).read_bytes(), np.fromfile(shard / ENDS, "<i8").tolist()
    return [raw[begin:end].decode() for begin, end in pairwise([0, *ends])]


def skipped_rows(folder: Path, shards: Iterable[Shard]) -> Iterator[dict[str, str]]:
    """The place and the error of each row that was skipped, in order."""
    for shard in shards:
        if shard.read > shard.rows:
            with (folder / shard.name / SKIPPED).open(encoding="utf-8") as lines:
                yield from map(json.loads, lines)
