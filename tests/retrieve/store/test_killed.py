"""A writer that is killed before each of its calls, and in the middle of each write."""

import errno
import itertools
import os
import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from small_disk import small_disk

from leanformer.core.storage.disk import DiskFull
from leanformer.retrieve.store import VectorStore

KINDS = ("vectors", "journal")
CALLS = ("open", "write", "fsync", "replace", "truncate", "unlink")


def rows(keys, value):
    return keys, np.full((len(keys), 2), value), [{"text": f"{key}{value}"} for key in keys]


COMMITS = (
    lambda store: store.add(*rows(["c", "d", "e"], 1)),
    lambda store: store.update(*rows(["a", "d", "b"], 2)),
    lambda store: store.delete(["c", "a"]),
    lambda store: store.compact(),
    lambda store: store.add(*rows(["f"], 3)),
    lambda store: store.upsert(*rows(["g", "e", "h"], 4), delete=["f", "none"]),
)


def content(snapshot):
    found = np.flatnonzero(snapshot.alive())
    values = zip(snapshot.keys(found), snapshot.records(found), strict=True)
    texts = [(key, record["text"]) for key, record in values]
    assert len(texts) == len(snapshot)
    assert np.array_equal(snapshot.vectors(found)[:, 0], [int(text[1:]) for _, text in texts])
    assert snapshot.rows_of([key for key, _ in texts]).tolist() == found.tolist()
    return texts


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store of two rows, and what is in it before and after each commit."""
    place = tmp_path_factory.mktemp("killed") / "whole"
    settings = {"width": 2, "normalized": False, "segment_rows": 3}
    with VectorStore.create(place, **settings) as store:
        store.add(*rows(["a", "b"], 0))
    states = [content(store.snapshot())]
    with VectorStore.open(shutil.copytree(place, place.with_name("copy")), write=True) as store:
        for commit in COMMITS:
            commit(store)
            states.append(content(store.snapshot()))
    return place, states


@pytest.fixture
def memory(tmp_path):
    """A folder on a file system that does not wait for a disk, where there is one."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


def write_all(folder, acknowledge):
    with VectorStore.open(folder, write=True) as store:
        for commit in COMMITS:
            commit(store)
            acknowledge()


def killed(folder, kill, torn):
    """Write in a child that is killed at its `kill`-th call; how many commits it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            watch(kill, torn)
            write_all(folder, lambda: real["write"](writing, b"."))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(reading, "rb") as pipe:
        acknowledged = len(pipe.read())
    assert code in (0, -signal.SIGKILL), code
    return acknowledged, code != 0


real = {name: getattr(os, name) for name in CALLS}


def watch(kill, torn):
    count = itertools.count(1)

    def watched(name):
        def call(*args, **settings):
            writes = name != "open" or args[1] & os.O_CREAT
            if (name == "write" or (writes and not torn)) and next(count) == kill:
                if torn:
                    real["write"](args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return None if name == "fsync" else real[name](*args, **settings)

        return call

    for name in CALLS:
        setattr(os, name, watched(name))


@pytest.mark.parametrize("torn", [False, True])
def test_a_kill_loses_no_acknowledged_row_and_shows_no_part_of_a_batch(whole, memory, torn):
    place, states = whole
    for kill in itertools.count(1):
        folder = shutil.copytree(place, memory / str(kill))
        acknowledged, was_killed = killed(folder, kill, torn)
        snapshot = VectorStore.open(folder).snapshot()
        found = content(snapshot)
        assert found in states[acknowledged : acknowledged + 2], (kill, acknowledged)
        snapshot.verify()
        if not was_killed:
            assert found == states[-1]
            break
        go_on(folder, snapshot.version - 1, states)
        shutil.rmtree(folder)
    assert kill > (20 if torn else 60)


def go_on(folder, done, states):
    """The next writer cuts what was left, and commits what was not."""
    with VectorStore.open(folder, write=True) as store:
        assert sizes(folder) == committed(store.snapshot().manifest)
    for commit, state in zip(COMMITS[done : done + 2], states[done + 1 :], strict=False):
        with VectorStore.open(folder, write=True) as store:
            commit(store)
            assert content(store.snapshot()) == state
            store.verify()
            assert sizes(folder) == committed(store.snapshot().manifest)


def sizes(folder):
    """Files and their sizes, but for the manifest, the lock and what killed writers of these left
    (they go with the next commit)."""
    return {f.name: f.stat().st_size for f in folder.iterdir() if f.suffix[1:] in KINDS}


def committed(manifest):
    found = {}
    for number, extent in enumerate(manifest.segments):
        name = f"{manifest.generation:05}-{number:05}"
        found |= {f"{name}.vectors": extent.rows * 8, f"{name}.journal": extent.bytes}
    return found


def test_data_reach_the_disk_before_the_manifest_names_them(whole, tmp_path, monkeypatch):
    """What a power cut would need: a file is brought to the disk after its last write."""
    folder = shutil.copytree(whole[0], tmp_path / "s")
    told = []

    def path_of(handle):
        return Path(os.readlink(f"/proc/self/fd/{handle}")).relative_to(tmp_path).as_posix()

    def tell(name):
        def call(first, *args, **settings):
            place = path_of(first) if isinstance(first, int) else Path(first).name
            if ".lock" not in place:
                told.append((name, "new manifest" if "unfinished" in place else place))
            return real[name](first, *args, **settings)

        return call

    with VectorStore.open(folder, write=True) as store:
        for name in ("write", "fsync", "replace"):
            monkeypatch.setattr(os, name, tell(name))
        store.add(*rows(["c"], 1))
        segment = ["s/00000-00000.vectors", "s/00000-00000.journal"]
        publishing = [
            ("write", "new manifest"), ("fsync", "new manifest"),
            ("replace", "new manifest"), ("fsync", "s"),
        ]  # fmt: skip
        data = [(call, file) for call in ("write", "fsync") for file in segment]
        assert told == data + publishing
        told.clear()
        store.add(*rows(["d"], 1))  # in a new segment, whose name must be there too
        assert told[4:] == [("fsync", "s"), *publishing]


# Two segments and a manifest; the fifth fsync is of the folder, which not every file system can do.
FAILURES = [
    *(("write", n) for n in range(1, 6)),
    *(("fsync", n) for n in (1, 2, 3, 4, 6)),
    ("replace", 1),
]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_leaves_the_store_as_it_was(whole, tmp_path, monkeypatch, error):
    place, states = whole
    folder = shutil.copytree(place, tmp_path / "s")
    kind = DiskFull if error == errno.ENOSPC else OSError
    with VectorStore.open(folder, write=True) as store:
        before = {file.name: file.read_bytes() for file in folder.iterdir()}
        for name, fail in FAILURES:
            with monkeypatch.context() as patch:
                patch.setattr(os, name, failing(name, fail, error))
                with pytest.raises(kind, match=os.strerror(error)):
                    store.add(*rows(["c", "d", "e"], 1))
            assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", failing("replace", 2, error))
            store.add(*rows(["c", "d", "e"], 1))
        assert content(store.snapshot()) == states[1]
        store.verify()


def failing(name, fail, error):
    """A call of the system that fails at its `fail`-th time."""
    count, call = itertools.count(1), os.fsync if name == "fsync" else real[name]

    def fails(*args):
        if next(count) == fail:
            raise OSError(error, os.strerror(error))
        return call(*args)

    return fails


def test_a_full_disk(whole, tmp_path):
    with small_disk(tmp_path / "small", 2**20) as small:
        folder = shutil.copytree(whole[0], small / "s")
        with VectorStore.open(folder, write=True) as store:
            before = content(store.snapshot())
            many = [f"k{n}" for n in range(100_000)]
            with pytest.raises(DiskFull, match="could not be written: No space left"):
                store.add(many, np.ones((len(many), 2)))
            assert content(store.snapshot()) == before
            assert sorted(f.name for f in folder.iterdir() if f.name[0] == "0") == [
                "00000-00000.journal", "00000-00000.vectors",
            ]  # fmt: skip
            store.add(["c"], np.ones((1, 2)), [{"text": "c1"}])
            store.verify()
            (small / "filler").write_bytes(bytes(2**20 - 80 * 2**10))
            with pytest.raises(DiskFull):
                store.add(many[:4000], np.ones((4000, 2)))
            assert len(store.snapshot()) == 3
