from pathlib import Path

import numpy as np
import pytest

from leanformer.retrieve.searching.stored_bm25 import StoredBm25
from leanformer.retrieve.store import VectorStore

TEXTS = ["iron rusts", "oxygen burns iron", "", "argon does not", "iron iron oxygen"]


@pytest.fixture
def store(tmp_path: Path) -> VectorStore:
    store = VectorStore.create(tmp_path / "store", width=1)
    store.add([str(n) for n in range(5)], np.ones((5, 1)), [{"text": one} for one in TEXTS])
    return store


def found(index: StoredBm25, store: VectorStore, question: str) -> list[tuple[int, float]]:
    snapshot = store.snapshot()
    scores, rows = index.search(question, 9, snapshot.alive(), index.later(snapshot))
    return list(zip(rows.tolist(), scores.tolist(), strict=True))


def test_it_survives_its_folder(store: VectorStore, tmp_path: Path) -> None:
    built = StoredBm25.build(store.snapshot())
    built.save(tmp_path / "bm25")
    opened = StoredBm25.open(tmp_path / "bm25")
    assert opened.applies_to(store.snapshot())
    for question in ("iron", "burning oxygen", "argon", "nothing known", ""):
        assert found(opened, store, question) == found(built, store, question)
    assert not list((tmp_path / "bm25").glob("*.pkl"))


def test_deleted_rows_are_left_out_and_later_ones_scored(store: VectorStore) -> None:
    index = StoredBm25.build(store.snapshot())
    assert [row for row, _ in found(index, store, "iron")] == [4, 0, 1]
    store.delete(["4"])
    store.add(["5"], np.ones((1, 1)), [{"text": "iron rusts"}])
    rows = dict(found(index, store, "iron"))
    assert list(rows) == [0, 5, 1]
    assert rows[0] == pytest.approx(rows[5])


def test_it_does_not_apply_to_another_store_or_generation(
    store: VectorStore, tmp_path: Path
) -> None:
    index = StoredBm25.build(store.snapshot())
    other = VectorStore.create(tmp_path / "other", width=1)
    assert not index.applies_to(other.snapshot())
    store.delete(["1"])
    assert index.applies_to(store.snapshot())
    store.compact()
    assert not index.applies_to(store.snapshot())


def test_texts_without_terms_are_saved_too(tmp_path: Path) -> None:
    store = VectorStore.create(tmp_path / "store", width=1)
    store.add(["a"], np.ones((1, 1)), [{"text": "the"}])
    StoredBm25.build(store.snapshot()).save(tmp_path / "bm25")
    opened = StoredBm25.open(tmp_path / "bm25")
    assert found(opened, store, "the iron") == []
    store.add(["b"], np.ones((1, 1)), [{"text": "iron"}])
    assert [row for row, _ in found(opened, store, "iron")] == [1]
