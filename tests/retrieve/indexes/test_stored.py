"""A store that is searched while it changes: nothing wrong is ever returned."""

import logging
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import Exact, Hnsw, Index, Ivf, StoredIndex, build_index
from leanformer.retrieve.indexes.building import NAME
from leanformer.retrieve.store import VectorStore

pytest.importorskip("faiss")
ROWS, K = 2500, 10
QUERIES = clustered(20, seed=5)


def fill(store: VectorStore, start: int, stop: int) -> None:
    records = [{"text": f"text {n}", "metadata": {"part": n % 100}} for n in range(start, stop)]
    store.add([f"k{n}" for n in range(start, stop)], clustered(stop)[start:stop], records)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "store"
    with VectorStore.create(folder, width=36) as store:
        fill(store, 0, ROWS)
    build_index(folder, Ivf(lists=20, nprobe=20, storage="fp32"), threads=1)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "store"))


def truth(index: StoredIndex, k: int = K, **where: Any) -> np.ndarray:
    """Keys of the best rows, by scoring all that are alive."""
    snapshot = index.snapshot
    alive = np.flatnonzero(snapshot.matching(where) if where else snapshot.alive())
    best = np.argsort(-(QUERIES @ snapshot.vectors(alive).T), axis=1, kind="stable")[:, :k]
    return alive[best]


def same(index: StoredIndex, **where: Any) -> bool:
    scores, rows, snapshot = index.search(QUERIES, K, where=where or None)
    exact = np.einsum("qkd,qd->qk", snapshot.vectors(rows.reshape(-1)).reshape(20, K, -1), QUERIES)
    np.testing.assert_allclose(scores, exact, rtol=1e-4, atol=1e-5)
    return bool((rows == truth(index, **where)).mean() > 0.99)


def test_rows_are_added_updated_and_deleted_and_each_search_is_right(folder: Path) -> None:
    index = StoredIndex.open(folder, threads=1)
    assert index.about["index"]["use"] == "ivf"
    assert index.unindexed == 0
    assert same(index)
    with VectorStore.open(folder, write=True) as store:
        before = index.search(QUERIES, K)[1]
        best = [f"k{row}" for row in before[:, 0]]
        store.delete(best[:10])
        fill(store, ROWS, ROWS + 40)
        assert (index.search(QUERIES, K)[1] == before).all()  # its version has not changed
        index.refresh()
        assert index.unindexed == 40
        found = index.search(QUERIES, K)[1]
        assert not set(found.ravel().tolist()) & set(before[:10, 0].tolist())
        assert same(index)
        store.update([best[-1]], -QUERIES[-1:], [{"text": "", "metadata": {}}])
        fill(store, ROWS + 40, ROWS + 43)
        index.refresh()
        assert before[-1, 0] not in index.search(QUERIES[-1:], K)[1]
        assert index.search(-QUERIES[-1:], 1)[1][0, 0] == ROWS + 40
        assert same(index)
        assert index.unindexed == 44
        assert index.refresh() is index.snapshot


@pytest.mark.parametrize("kind", [Hnsw(links=8), Exact(), None], ids=repr)
def test_filters_keep_to_what_is_asked(folder: Path, kind: Index | None, monkeypatch: Any) -> None:
    from leanformer.retrieve.indexes import faiss_index, stored

    if kind is None:
        shutil.rmtree(folder / NAME)
    else:
        build_index(folder, kind, threads=1)
    with VectorStore.open(folder, write=True) as store:
        fill(store, ROWS, ROWS + 300)
    index = StoredIndex.open(folder, threads=1)
    assert same(index, part=7)
    monkeypatch.setattr(stored, "_FEW", 0)
    monkeypatch.setattr(faiss_index, "_FEW", 0)
    assert same(index, part=7)
    rows = index.search(QUERIES, K, where={"part": 1234})[1]
    assert (rows == -1).all()


def test_after_a_compaction_the_old_index_is_not_applied(folder: Path, caplog: Any) -> None:
    index = StoredIndex.open(folder, threads=1)
    with VectorStore.open(folder, write=True) as store:
        store.delete([f"k{n}" for n in range(0, ROWS, 3)])
        store.compact()
    with caplog.at_level(logging.WARNING):
        index.refresh()
    assert "built of generation 0, and the store is of 1" in caplog.text
    assert "until then every row is scored" in caplog.text
    assert index.about == {}
    assert index.unindexed == len(index.snapshot)
    assert same(index)
    build_index(folder, Ivf(lists=20, nprobe=20, storage="fp32"), threads=1)
    index.refresh()
    assert index.unindexed == 0
    assert same(index)


@pytest.mark.parametrize("indexed", [False, True])
def test_another_store_in_the_place_is_read_anew(folder: Path, made: Path, indexed: bool) -> None:
    if not indexed:
        shutil.rmtree(folder / NAME)
    index = StoredIndex.open(folder, threads=1)
    with VectorStore.open(folder, write=True) as store:
        fill(store, ROWS, ROWS + 20)
    index.refresh()
    for source in (made, None):  # an older copy, and a store that was made anew
        shutil.move(folder / NAME, folder.parent / "kept") if source is None and indexed else None
        shutil.rmtree(folder)
        if source is None:
            with VectorStore.create(folder, width=36) as store:
                store.add([f"n{n}" for n in range(60)], clustered(60, seed=9)[::-1])
                store.add(["last"], clustered(1, seed=8))
            if indexed:
                shutil.move(folder.parent / "kept", folder / NAME)
        else:
            shutil.copytree(source, folder)
            if not indexed:
                shutil.rmtree(folder / NAME)
        assert index.refresh() is index.snapshot
        assert len(index.snapshot) == (61 if source is None else ROWS)
        assert same(index)


def test_a_missing_or_damaged_index_costs_time_and_nothing_else(folder: Path, caplog: Any) -> None:
    file = folder / NAME / "index.faiss"
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    for damage in (lambda: None, file.unlink, lambda: shutil.rmtree(folder / NAME)):
        damage()
        caplog.clear()
        index = StoredIndex.open(folder, threads=1)
        assert "build the index again; until then every row is scored" in caplog.text
        assert index.needs_rebuild()
        assert same(index)


def test_an_index_is_rebuilt_as_it_was_asked_for_when_much_has_changed(folder: Path) -> None:
    index = StoredIndex.open(folder, threads=1)
    assert not index.needs_rebuild(0.1)
    with VectorStore.open(folder, write=True) as store:
        fill(store, ROWS, ROWS + 200)
        store.delete([f"k{n}" for n in range(100)])
    index.refresh()
    assert index.needs_rebuild(0.1)
    assert not index.needs_rebuild(0.2)
    index.rebuild()
    assert not index.needs_rebuild(0.01)
    assert index.unindexed == 0
    assert index.about["index"]["nprobe"] == 20
    assert index.about["rows"] == ROWS + 100
    assert same(index)
    build_index(folder, Exact())
    index.refresh()
    assert not index.needs_rebuild()


def test_eight_threads_search_while_a_writer_writes_and_the_index_is_replaced(folder: Path) -> None:
    index, stop = StoredIndex.open(folder, threads=1), threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        while not stop.wait(0.01):
            try:
                scores, rows, snapshot = index.search(QUERIES[:3], 5)
                alive = snapshot.alive()
                vectors = snapshot.vectors(rows.reshape(-1)).reshape(3, 5, -1)
                exact = np.einsum("qkd,qd->qk", vectors, QUERIES[:3])
                if not alive[rows].all() or abs(exact - scores).max() > 1e-4:
                    wrong.append(rows)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    with VectorStore.open(folder, write=True) as store:
        for turn in range(6):
            fill(store, ROWS + 10 * turn, ROWS + 10 * turn + 10)
            store.delete([f"k{n}" for n in range(50 * turn, 50 * turn + 50)])
            if turn == 2:
                store.compact()
            if turn == 4:
                build_index(folder, Ivf(lists=10, nprobe=10), threads=1)
            index.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_cannot_be_asked_is_refused(folder: Path, tmp_path: Path) -> None:
    index = StoredIndex.open(folder)
    with pytest.raises(ValueError, match="queries: 3 numbers per query"):
        index.search(np.ones((1, 3)), 3)
    with pytest.raises(ValueError, match="k: 0 is not at least 1"):
        index.search(QUERIES, 0)
    with pytest.raises(ValueError, match=r"share: 1\.5 is not"):
        index.needs_rebuild(1.5)
    with pytest.raises(FileNotFoundError):
        StoredIndex.open(tmp_path / "nowhere")
