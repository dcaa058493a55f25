"""What retrieval reads back, to be damaged: a store, its index, and a cross-encoder's scores."""

from pathlib import Path
from typing import Any

import numpy as np
from runtime_samples import TEXTS

from leanformer.data.relations import Relations
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.retrieve.indexes import Hnsw, StoredIndex, build_index
from leanformer.retrieve.store import VectorStore
from leanformer.retrieve.training.cross_encoder import score_candidates


def stored(folder: Path) -> None:
    """A vector store of two segments, with a row that is deleted."""
    with VectorStore.create(folder, width=3, normalized=False, segment_rows=4) as store:
        vectors = np.arange(15).reshape(5, 3)
        records = [{"text": f"text {n}", "metadata": {"n": n}} for n in range(5)]
        store.add(list("abcde"), vectors, records)
        store.update(["b"], vectors[:1])


def found_rows(folder: Path) -> Any:
    snapshot = VectorStore.open(folder).snapshot()
    rows = np.arange(snapshot.rows)
    values = (snapshot.vectors(rows), snapshot.alive(), snapshot.rows_of(["b", "e", "z"]))
    return values, snapshot.keys(rows), snapshot.records(rows)


INDEXED = np.random.default_rng(0).integers(-9, 9, (48, 4))  # whole: their products are exact


def indexed(folder: Path) -> None:
    """A store with a graph, which misses a row of it that was appended later."""
    with VectorStore.create(folder, width=4, normalized=False) as store:
        store.add([f"k{n}" for n in range(47)], INDEXED[:47])
        build_index(folder, Hnsw(links=4), threads=1)
        store.add(["k47"], INDEXED[47:])
    assert StoredIndex.open(folder, threads=1).unindexed == 1


def searched(folder: Path) -> Any:
    scores, rows, snapshot = StoredIndex.open(folder, threads=1).search(INDEXED[:6] + 0.5, 5)
    return scores, np.sort(scores), [snapshot.keys(one[:3]) for one in rows]


PAIRS = Relations(anchors=TEXTS[:2], positives=TEXTS[2:4], negatives=((TEXTS[4],), ()))


def scored(folder: Path) -> Any:
    """The scores that a cross-encoder gave to pairs, kept or computed."""
    judge = folder.parent / "judge"
    if not judge.exists():
        save_model(*tiny_model("bert", num_labels=1), judge)
    return score_candidates(PAIRS, str(judge), precision="fp32", cache=folder).scores
