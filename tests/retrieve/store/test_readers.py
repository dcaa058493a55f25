"""Readers beside a writer: in threads, and in another process."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from leanformer.retrieve.store import VectorStore

BATCH = 5


def write(store, batches):
    """Batches of equal rows; each third one is replaced, another one deleted, and twice everything
    is compacted."""
    for number in range(batches):
        keys = [f"{number}-{place}" for place in range(BATCH)]
        records = [{"text": key, "metadata": {"batch": number}} for key in keys]
        store.add(keys, np.full((BATCH, 3), number), records)
        if number % 3 == 2:
            store.update(keys, np.full((BATCH, 3), number + 0.5))
            others = [f"{key}-new" for key in keys]
            store.upsert(others, np.full((BATCH, 3), number + 0.75), records, delete=keys)
        if number % 3 == 1:
            assert store.delete(keys) == BATCH
        if number in (batches // 2, batches - 2):
            store.compact()


def look(snapshot):
    """What is in a snapshot, which must be whole batches."""
    rows = np.flatnonzero(snapshot.alive())
    vectors, keys = snapshot.vectors(rows), snapshot.keys(rows)
    batches = [int(key.split("-")[0]) for key in keys]
    assert len(rows) == len(snapshot)
    assert all(batches.count(number) == BATCH for number in set(batches))
    assert np.array_equal(np.floor(vectors[:, 0]).astype(int), batches)
    if keys:
        newest = batches[-1]
        values = vectors[np.array(batches) == newest]
        assert (values == values[0]).all()  # an update is of a whole batch too
        assert snapshot.matching({"batch": newest})[rows].tolist() == [b == newest for b in batches]
        assert snapshot.rows_of(keys).tolist() == rows.tolist()
    return keys, vectors.tobytes()


def watch(store, done):
    """Take snapshots until `done`, and look at each twice."""
    held, versions = [], []
    while not done() or not held:
        snapshot = store.snapshot()
        if not versions or snapshot.version > versions[-1]:
            held.append((snapshot, look(snapshot)))
        versions.append(snapshot.version)
    assert versions == sorted(versions)
    for snapshot, found in held:
        assert look(snapshot) == found
    return len(held)


@pytest.fixture
def folder(tmp_path):
    VectorStore.create(tmp_path / "s", width=3, normalized=False, segment_rows=12).close()
    return tmp_path / "s"


def test_eight_threads_read_while_one_writes(folder):
    shared, ended = VectorStore.open(folder), threading.Event()
    with ThreadPoolExecutor(9) as threads:
        readers = [threads.submit(watch, shared, ended.is_set) for _ in range(4)]
        readers += [threads.submit(watch, VectorStore.open(folder), ended.is_set) for _ in range(4)]
        try:
            with VectorStore.open(folder, write=True) as store:
                write(store, 8)
        finally:
            ended.set()
        assert all(reader.result() > 1 for reader in readers)
    assert look(shared.snapshot())[0][-1] == f"6-{BATCH - 1}"


def test_a_process_writes_while_this_one_reads(folder):
    child = os.fork()
    if not child:
        try:
            with VectorStore.open(folder, write=True) as store:
                write(store, 8)
            os._exit(0)
        finally:
            os._exit(1)
    codes = []

    def done():
        ended, status = os.waitpid(child, os.WNOHANG) if not codes else (0, 0)
        codes.extend([os.waitstatus_to_exitcode(status)] if ended else [])
        return bool(codes)

    assert watch(VectorStore.open(folder), done) > 1
    assert codes == [0]


def test_threads_of_one_writer_write_in_turn(folder):
    with VectorStore.open(folder, write=True) as store, ThreadPoolExecutor(8) as threads:
        adds = [
            threads.submit(store.add, [f"{n}-{p}" for p in range(BATCH)], np.full((BATCH, 3), n))
            for n in range(8)
        ]
        rows = [row for add in adds for row in add.result()]
        assert sorted(rows) == list(range(8 * BATCH))
        store.delete([f"{n}-{p}" for n in range(8) for p in range(BATCH) if n % 2])
    assert len(VectorStore.open(folder).snapshot()) == 4 * BATCH


def test_a_fork_does_not_write_with_the_lock_of_its_parent(folder):
    with VectorStore.open(folder, write=True) as store:
        child = os.fork()
        if not child:
            try:
                store.add(["a"], np.ones((1, 3)))
            except ValueError as error:
                os._exit(7 if "in the process that writes" in str(error) else 1)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
