"""Build the index of a store, and say of what it was built: `STORE/index/`.

    index.json          the description, its measured recall, the version that it is of
    rows.safetensors    the store's row number of each row of the index, ascending
    index.faiss, …      as `saving` writes them; an exact index has none

An index is derived: it can be thrown away and built again at any time. It is applied only to the
store, generation and width that it was built of (compaction numbers rows anew); a few rows'
checksums tell a store from an older copy of itself that went on in another way.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.codec import encode
from leanformer.core.ranges import Count, check_number
from leanformer.measure.interleave import Tell, silent
from leanformer.retrieve.indexes.advice.advise import Advice, Preference, advise
from leanformer.retrieve.indexes.advice.recall import Truth, true_answers
from leanformer.retrieve.indexes.advice.tuning import tune
from leanformer.retrieve.indexes.exact import Exact, ExactIndex
from leanformer.retrieve.indexes.exact_scores import score_blocks
from leanformer.retrieve.indexes.faiss_index import FaissIndex
from leanformer.retrieve.indexes.interface import BuiltIndex, Index, checked_queries
from leanformer.retrieve.indexes.saving import (
    WAY_OUT,
    read_about,
    read_arrays,
    restore,
    write_arrays,
    write_index,
)
from leanformer.retrieve.indexes.vector_rows import StoredRows
from leanformer.retrieve.store import Snapshot, VectorStore

NAME = "index"
"""The folder of the index within that of its store."""
ROWS = "rows.safetensors"
_PROBED = 32  # rows whose vectors tell one store from another
_QUERIES = 200  # rows that recall is measured with where no queries are given


@dataclass(frozen=True, kw_only=True, eq=False)
class Derived:
    """An index of a store, as it was built or found.

    Attributes:
        index: The built index; None = an exact search over the store was chosen.
        rows_N: The store's row of each row of the index, ascending.
        about: What `index.json` says: "recall", "built_of", "asked", "candidates".
    """

    index: BuiltIndex | None
    rows_N: NDArray[np.int64]
    about: dict[str, Any]


def build_index(
    folder: str | Path,
    index: Index | None = None,
    *,
    queries_QD: NDArray[np.floating] | None = None,
    target_recall: float = 0.95,
    k: int = 10,
    prefer: Preference = "latency",
    threads: int | None = None,
    tell: Tell = silent,
) -> dict[str, Any]:
    """Build the index of the newest version of a store, measure its recall, and put it beside it.

    An index that is there is replaced when the new one is whole. Readers of the store go on with
    the former one until they refresh.

    Args:
        folder: The store's folder; the index goes to its sub-folder `index`.
        index: What to build, with the effort that it says; None = the adviser chooses, and the
            effort is tuned on all rows.
        queries_QD: Queries like those that will be asked; None = rows of the store.
        target_recall: Of the adviser: share of the `k` best rows that are to be found.
        k: Results that recall is measured for.
        prefer: Of the adviser: "latency", "throughput" or "memory".
        threads: Threads that build; None = all cores.
        tell: Told what is being done.

    Returns:
        What `index.json` says. `recall` has the measured value and how it was measured.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: The store is damaged, or a setting is out of its range.
        ImportError: `faiss` is missing and is needed.
    """
    check_number(Count, k, "k")
    place = Path(folder)
    snapshot = VectorStore.open(place).snapshot()
    stored = StoredRows(snapshot)
    asked: dict[str, Any] = {"target_recall": target_recall, "k": k, "prefer": prefer}
    described, advice = index, None
    if described is None:
        vectors_ND = stored.take(np.arange(len(stored.rows_N)))
        advice = advise(vectors_ND, queries_QD, **asked, threads=threads, tell=tell)
        described = advice.index
        del vectors_ND  # the adviser alone needs all of them in memory
    tell(f"building {described!r} of {len(stored.rows_N):,} rows")
    built = described.build_of(stored, threads=threads)
    built, recall = _measured(built, stored, queries_QD, k, advice)
    _write(
        place / NAME,
        built,
        stored.rows_N,
        recall=recall,
        built_of=_origin(snapshot, stored.rows_N),
        asked={"index": None if index is None else encode(index), **asked},
        candidates=[] if advice is None else candidates_of(advice),
    )
    return read_about(place / NAME)


def _write(folder: Path, built: BuiltIndex, rows_N: NDArray[np.int64], **more: Any) -> None:
    """Write the folder of the index of these rows of a store, whole or not at all."""

    def write(temporary: Path) -> None:
        if isinstance(built, FaissIndex):
            built.write(temporary)
            write_arrays(temporary / ROWS, {"rows": rows_N})

    write_index(folder, built, write, **more)


def load_derived(store: VectorStore, folder: Path, threads: int | None) -> tuple[Derived, Snapshot]:
    """The index beside a store, and a snapshot to which it applies.

    Raises:
        ValueError: The index is missing, damaged, or of another version of the store.
        OSError: A file cannot be read.
        ImportError: `faiss` is missing and is needed.
    """
    about = read_about(folder)
    snapshot = store.snapshot()  # after the index was read, so that it is not older
    rows_N = np.empty(0, np.int64)
    if about["index"] != encode(Exact()):
        shapes = {"rows": ("I64", (about["rows"],))}
        rows_N = read_arrays(folder / ROWS, shapes)["rows"]
        if rows_N[0] < 0 or (np.diff(rows_N) <= 0).any():
            raise ValueError(f"{folder / ROWS}: the rows are not ascending; {WAY_OUT}")
    check_origin(folder, about, rows_N, snapshot)
    if not len(rows_N):
        return Derived(index=None, rows_N=rows_N, about=about), snapshot

    def source(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return snapshot.vectors(rows_N[rows])

    index = restore(folder, about, source, threads)
    return Derived(index=index, rows_N=rows_N, about=about), snapshot


def check_origin(
    folder: Path, about: Mapping[str, Any], rows_N: NDArray[np.int64], snapshot: Snapshot
) -> None:
    """Refuse an index that was not built of this store, or of another generation of it.

    Raises:
        ValueError: It does not apply; the message says why.
    """
    told = about.get("built_of")
    if not isinstance(told, dict):
        raise ValueError(f"{folder} does not say of what it was built; {WAY_OUT}")
    for name in ("store", "generation", "encoder"):
        if told.get(name) != getattr(snapshot, name):
            raise ValueError(
                f"{folder} was built of {name} {told.get(name)!r}, and the store is of "
                f"{getattr(snapshot, name)!r}; {WAY_OUT}"
            )
    later = not isinstance(told.get("version"), int) or told["version"] > snapshot.version
    if later or about["width"] != snapshot.width or (len(rows_N) and rows_N[-1] >= snapshot.rows):
        raise ValueError(
            f"{folder} was built of version {told.get('version')!r}, width {about['width']}, and "
            f"the store is of version {snapshot.version}, width {snapshot.width}; {WAY_OUT}"
        )
    if len(rows_N) and told.get("vectors") != _probe(snapshot, rows_N):
        raise ValueError(f"{folder} was built of the vectors of another store; {WAY_OUT}")


def candidates_of(advice: Advice) -> list[dict[str, Any]]:
    """What the adviser tried, ready for JSON."""
    return [
        {
            "index": encode(one.index),
            "recall": one.recall,
            "met": one.met,
            "latency": one.latency.json(),
            "throughput": one.throughput.json(),
            "size_bytes": one.size_bytes,
            "build_s": one.build_s,
        }
        for one in advice.candidates
    ]


def _measured(
    built: BuiltIndex,
    stored: StoredRows,
    queries_QD: NDArray[np.floating] | None,
    k: int,
    advice: Advice | None,
) -> tuple[BuiltIndex, dict[str, Any]]:
    """The index, tuned where the adviser chose it, and its recall with how it was measured."""
    if isinstance(built, ExactIndex):
        return built, {"value": 1.0, "k": k, "queries": 0, "of": "an exact search"}
    if queries_QD is None:
        drawn = np.random.default_rng(0).permutation(len(stored.rows_N))
        of = "rows of the store, which do not count as results"
        truth = tuned_on = _truth_of_rows(stored, drawn[:_QUERIES], k)
        if advice is not None:  # what is tuned on some rows does a little better on these
            tuned_on = _truth_of_rows(stored, drawn[-_QUERIES:], k)
    else:
        truth = tuned_on = _truth(stored, queries_QD, k)
        of = "given queries" if advice is None else "given queries, which its effort was tuned on"
    if advice is not None:
        built = tune(built, tuned_on, advice.target_recall).index
    value = truth.recall(built)
    return built, {"value": value, "k": k, "queries": len(truth.queries_QD), "of": of}


def _truth_of_rows(stored: StoredRows, own_Q: NDArray[np.int64], k: int) -> Truth:
    """The true answers to rows as queries, which are not answers to themselves."""
    truth = _truth(stored, stored.take(own_Q), k, own_Q)
    return replace(truth, own_Q=own_Q)


def _truth(
    stored: StoredRows,
    queries_QD: NDArray[np.floating],
    k: int,
    own_Q: NDArray[np.int64] | None = None,
) -> Truth:
    """The true answers, of which only the best rows of each query come into memory.

    The k best rows of all, and the row that a query is itself, are the same among these.
    """
    queries_QD = checked_queries(queries_QD, stored.shape[1])
    _, rows_QK = score_blocks(queries_QD, _numbered(stored.blocks()), k + 1)
    own = rows_QK[:0, 0] if own_Q is None else own_Q
    best = np.unique(np.concatenate([rows_QK[rows_QK >= 0], own]))
    among = None if own_Q is None else np.searchsorted(best, own_Q)
    return true_answers(stored.take(best), queries_QD, k, own_Q=among)


def _numbered(
    blocks: Iterable[NDArray[np.float32]],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Blocks of vectors with the numbers of their rows."""
    start = 0
    for block in blocks:
        yield np.arange(start, start + len(block)), block
        start += len(block)


def _origin(snapshot: Snapshot, rows_N: NDArray[np.int64]) -> dict[str, Any]:
    """Of what an index is built."""
    return {
        "store": snapshot.store,
        "generation": snapshot.generation,
        "version": snapshot.version,
        "encoder": snapshot.encoder,
        "vectors": _probe(snapshot, rows_N) if len(rows_N) else "",
    }


def _probe(snapshot: Snapshot, rows_N: NDArray[np.int64]) -> str:
    """A checksum of a few vectors, from the first to the last."""
    some = rows_N[np.unique(np.linspace(0, len(rows_N) - 1, _PROBED).astype(np.int64))]
    vectors = np.ascontiguousarray(snapshot.vectors(some), "<f4")
    return hashlib.blake2b(vectors.tobytes(), digest_size=16).hexdigest()
