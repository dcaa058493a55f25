"""The BM25 index of a store's passages, in a folder beside it: derived, and made anew at any time.

    bm25/*.npy, vocab.index.json, params.index.json    as bm25s writes them; arrays without pickles
    bm25/rows.npy                                      the row of the store of each text
    bm25/about.json                                    of which version; checksums of the files

Rows that were deleted since are left out of the answers. Rows that were added since are scored as
they are asked for, by the frequencies of the index.

Legend: N text of the index, R row of the store.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.storage.files import new_folder, recover_folder, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.retrieve.searching.bm25 import K1, B, Bm25, LaterTexts, best, import_bm25s
from leanformer.retrieve.store import Snapshot

ABOUT, ROWS = "about.json", "rows.npy"
_FORMAT = 1
_AT_ONCE = 4096  # records that are read at a time


@dataclass(frozen=True)
class StoredBm25:
    """An index of terms over the rows of a store, up to one version.

    Attributes:
        index: Of the texts.
        rows_N: The row of each text, in rising order.
        store: Name of the store.
        generation: Generation of the store that the rows are of.
        covered: Rows that the store had; later ones are not in the index.
        version: Version of the store.
    """

    index: Bm25
    rows_N: NDArray[np.int64]
    store: str
    generation: int
    covered: int
    version: int

    @classmethod
    def build(cls, snapshot: Snapshot) -> "StoredBm25":
        """Index all passages of a snapshot."""
        rows_N = np.flatnonzero(snapshot.alive()).astype(np.int64)
        index = Bm25.build(_texts(snapshot, rows_N))
        return cls(
            index,
            rows_N,
            snapshot.store,
            snapshot.generation,
            snapshot.rows,
            snapshot.version,
        )

    def applies_to(self, snapshot: Snapshot) -> bool:
        """Whether the rows are those of this snapshot, or of an earlier one of its generation."""
        same = (self.store, self.generation) == (snapshot.store, snapshot.generation)
        return same and self.covered <= snapshot.rows and self.version <= snapshot.version

    def save(self, folder: Path) -> None:
        """Write the folder, whole or not at all, in place of what is there."""
        with new_folder(folder, overwrite=True) as place:
            if self.index.library is not None:
                self.index.library.save(place, allow_pickle=False, show_progress=False)
            np.save(place / ROWS, self.rows_N, allow_pickle=False)
            about = {
                "format": _FORMAT,
                "store": self.store,
                "generation": self.generation,
                "covered": self.covered,
                "version": self.version,
                "size": self.index.size,
                "mean_length": self.index.mean_length,
                "crc32": {file.name: _checksum(file) for file in sorted(place.iterdir())},
            }
            write_text(place / ABOUT, json.dumps(about, indent=2))

    @classmethod
    def open(cls, folder: Path) -> "StoredBm25":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such folder.
            ValueError: A file is damaged.
            ImportError: bm25s is not installed.
        """
        recover_folder(folder)
        try:
            about = read_json(folder / ABOUT)
            if about.get("format") != _FORMAT:
                raise _damaged(folder / ABOUT, f"its format is not {_FORMAT}")
            for name, checksum in about["crc32"].items():
                if name != Path(name).name or _checksum(folder / name) != checksum:
                    raise _damaged(folder / name, "its checksum is another one")
            size, rows_N = int(about["size"]), np.load(folder / ROWS, allow_pickle=False)
            library = _library(folder, size) if len(about["crc32"]) > 1 else None
            index = Bm25(library, size, float(about["mean_length"]))
            numbers = (int(about[name]) for name in ("generation", "covered", "version"))
            made = cls(index, rows_N, str(about["store"]), *numbers)
        except (KeyError, TypeError, AttributeError, EOFError) as error:
            raise _damaged(folder / ABOUT, f"{error} is missing or not what it should be") from None
        except FileNotFoundError as error:
            if not folder.is_dir():
                raise
            raise _damaged(Path(str(error.filename or folder)), "it is missing") from None
        rising = rows_N.ndim == 1 and rows_N.dtype == np.int64 and (np.diff(rows_N) > 0).all()
        within = rising and (not size or (rows_N[0] >= 0 and rows_N[-1] < made.covered))
        if not within or len(rows_N) != size:
            raise _damaged(folder / ROWS, "its rows do not fit the index")
        return made

    def later(self, snapshot: Snapshot) -> LaterTexts:
        """The texts of the rows that were added since, deleted ones among them."""
        rows = np.arange(self.covered, snapshot.rows)
        return LaterTexts.of(_texts(snapshot, rows))

    def search(
        self, question: str, k: int, allowed_R: NDArray[np.bool_], later: LaterTexts
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The `k` best rows of those that are allowed.

        Args:
            question: The question.
            k: How many; fewer where fewer share a term with it.
            allowed_R: Which rows of the store may be answered.
            later: Of the same snapshot.

        Returns:
            Scores and rows, the best first; of equal scores the lower row first.
        """
        scores_R = np.zeros(len(allowed_R), np.float32)
        scores_R[self.rows_N] = self.index.scores(question)
        scores_R[self.covered :] = later.scores(question, self.index)
        scores_R[~allowed_R] = 0
        rows = best(scores_R, k)
        return scores_R[rows], rows


def _texts(snapshot: Snapshot, rows: NDArray[np.int64]) -> Iterator[str]:
    for start in range(0, len(rows), _AT_ONCE):
        for record in snapshot.records(rows[start : start + _AT_ONCE]):
            yield record["text"]


def _library(folder: Path, size: int) -> Any:
    """The index of bm25s, whose numbers are checked before any is used as a position."""
    file = folder / "params.index.json"
    params = read_json(file)
    ours = {"k1": K1, "b": B, "method": "lucene", "backend": "numpy", "num_docs": size}
    for name, value in ours.items():
        if params.get(name) != value:
            raise _damaged(file, f"{name} is {params.get(name)!r} and not {value!r}")
    vocabulary = read_json(folder / "vocab.index.json")
    names = ("data", "indices", "indptr")
    arrays = {name: np.load(folder / f"{name}.csc.index.npy", allow_pickle=False) for name in names}
    starts, texts, scores = arrays["indptr"], arrays["indices"], arrays["data"]
    fits = (
        all(array.ndim == 1 for array in arrays.values())
        and starts.dtype.kind == texts.dtype.kind == "i"
        and scores.dtype == np.float32
        and len(starts) >= 2
        and starts[0] == 0
        and (np.diff(starts) >= 0).all()
        and starts[-1] == len(texts) == len(scores)
        and (not len(texts) or (texts.min() >= 0 and texts.max() < size))
        and all(isinstance(n, int) and 0 <= n < len(starts) - 1 for n in vocabulary.values())
    )
    if not fits:
        raise _damaged(folder, "its arrays do not fit each other")
    made = import_bm25s().BM25(k1=K1, b=B, method="lucene", backend="numpy")
    made.vocab_dict, made.scores = vocabulary, {**arrays, "num_docs": size}
    made.nonoccurrence_array = None  # as `build_index_from_ids` leaves it of Lucene's form
    return made


def _checksum(file: Path) -> int:
    found = 0
    with file.open("rb") as stream:
        while piece := stream.read(2**20):
            found = zlib.crc32(piece, found)
    return found


def _damaged(place: Path, what: str) -> ValueError:
    return ValueError(
        f"{place} is damaged ({what}); remove the folder bm25 and run the same leanformer index "
        "again, which makes it anew"
    )
