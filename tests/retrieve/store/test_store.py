import numpy as np
import pytest

from leanformer.core.storage.lock import FolderInUse
from leanformer.retrieve.store import VectorStore

WIDTH = 5


def unit(count, seed=0, width=WIDTH):
    values = np.random.default_rng(seed).normal(size=(count, width))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def store(tmp_path):
    with VectorStore.create(tmp_path / "s", width=WIDTH, encoder="e", segment_rows=4) as store:
        yield store


def test_what_is_added_is_read_by_another(store):
    vectors = unit(10)
    records = [{"text": f"é\n{n}", "metadata": {"n": n, "tags": ["a", None]}} for n in range(10)]
    assert store.add([f"ключ {n}" for n in range(7)], vectors[:7], records[:7]).tolist() == [
        *range(7)
    ]
    assert store.add([f"ключ {n}" for n in range(7, 10)], vectors[7:], records[7:]).tolist() == [
        7,
        8,
        9,
    ]
    found = VectorStore.open(store.folder).snapshot()
    assert (found.rows, len(found), found.width, found.encoder) == (10, 10, WIDTH, "e")
    assert (found.version, found.generation, found.normalized) == (2, 0, True)
    rows = np.array([9, 0, 3, 3])
    assert np.array_equal(found.vectors(rows), vectors[rows])
    assert found.keys(rows) == ["ключ 9", "ключ 0", "ключ 3", "ключ 3"]
    assert found.records(rows) == [records[row] for row in rows]
    assert found.rows_of(["ключ 3", "no", "ключ 9"]).tolist() == [3, -1, 9]
    assert found.alive().all()
    found.verify()


def test_blocks_are_the_rows_that_are_alive(store):
    vectors = unit(11)
    store.add([str(n) for n in range(11)], vectors)
    assert store.delete(["3", "10", "none"]) == 2
    blocks = list(store.snapshot().blocks(4))
    assert [len(rows) for rows, _ in blocks] == [4, 4, 1]
    rows = np.concatenate([rows for rows, _ in blocks])
    assert rows.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert np.array_equal(np.concatenate([found for _, found in blocks]), vectors[rows])


def test_records_are_optional(store):
    store.add(["a", "b"], unit(2), [{"text": "t"}, {"metadata": {"x": 1}}])
    store.add(["c"], unit(1))
    assert store.snapshot().records([0, 1, 2]) == [
        {"text": "t", "metadata": {}},
        {"text": "", "metadata": {"x": 1}},
        {"text": "", "metadata": {}},
    ]


def test_an_update_replaces_rows_in_one_commit(store):
    store.add(["a", "b", "c"], unit(3), [{"text": key} for key in "abc"])
    before = store.snapshot()
    assert store.update(["c", "a"], unit(2, seed=1)).tolist() == [3, 4]
    after = store.snapshot()
    assert after.version == before.version + 1
    assert after.rows_of(["a", "b", "c"]).tolist() == [4, 1, 3]
    assert after.records([3, 4]) == [{"text": "c", "metadata": {}}, {"text": "a", "metadata": {}}]
    store.update(["a"], unit(1), [{"text": "new"}])
    assert store.snapshot().records(store.snapshot().rows_of(["a"]))[0]["text"] == "new"
    assert before.rows_of(["a", "b", "c"]).tolist() == [0, 1, 2]
    assert (before.alive().tolist(), len(before)) == ([True] * 3, 3)


def test_an_upsert_replaces_adds_and_deletes_in_one_commit(store):
    store.add(["a", "b", "c"], unit(3), [{"text": key} for key in "abc"])
    before = store.snapshot()
    assert store.upsert(["d", "b"], unit(2, seed=1), delete=["a", "none"]).tolist() == [3, 4]
    after = store.snapshot()
    assert (after.version, len(after)) == (before.version + 1, 3)
    assert after.rows_of(["a", "b", "c", "d"]).tolist() == [-1, 4, 2, 3]
    assert [one["text"] for one in after.records([3, 4])] == ["", "b"]
    assert np.array_equal(after.vectors([3, 4]), unit(2, seed=1))
    assert before.rows_of(["a", "b", "c", "d"]).tolist() == [0, 1, 2, -1]
    store.upsert(["b"], unit(1), [{"text": "new"}])
    assert store.snapshot().records(store.snapshot().rows_of(["b"]))[0]["text"] == "new"
    assert store.upsert([], [], delete=["c"]).tolist() == []
    assert len(store.snapshot()) == 2
    store.verify()


def test_an_upsert_refuses_a_key_that_is_put_in_and_deleted(store):
    store.add(["a", "b"], unit(2))
    with pytest.raises(ValueError, match=r"delete\[1\] is 'b', which is put in by the same call"):
        store.upsert(["b"], unit(1), delete=["a", "b"])
    with pytest.raises(ValueError, match=r"delete\[1\] is 'a', as delete\[0\] is"):
        store.upsert(["c"], unit(1), delete=["a", "a"])
    with pytest.raises(ValueError, match="delete is one text"):
        store.upsert(["c"], unit(1), delete="a")
    assert store.snapshot().version == 1


def test_a_deleted_key_may_come_again(store):
    store.add(["a", "b"], unit(2))
    assert store.delete(["a"]) == 1
    assert store.delete(["a"]) == 0
    assert store.snapshot().rows_of(["a", "b"]).tolist() == [-1, 1]
    assert store.add(["a"], unit(1)).tolist() == [2]
    assert store.snapshot().alive().tolist() == [False, True, True]


def test_nothing_to_do_is_no_commit(store):
    assert store.add([], np.empty((0, WIDTH))).tolist() == []
    assert store.update([], []).tolist() == []
    assert store.upsert([], [], delete=["a"]).tolist() == []
    assert store.delete(["a"]) == 0
    assert store.snapshot().version == 0
    assert store.snapshot().vectors([]).shape == (0, WIDTH)
    assert list(store.snapshot().blocks()) == []


def test_compaction_keeps_the_order_and_drops_the_rest(store):
    vectors = unit(11)
    store.add([str(n) for n in range(11)], vectors, [{"text": str(n)} for n in range(11)])
    store.delete(["0", "7"])
    store.update(["2"], unit(1, seed=5))
    before = store.snapshot()
    store.compact()
    after = store.snapshot()
    kept = [*"13456", "8", "9", "10", "2"]
    assert (after.generation, after.rows, len(after)) == (1, 9, 9)
    assert after.keys(range(9)) == kept
    assert [record["text"] for record in after.records(range(9))] == kept
    expected = np.concatenate([vectors[[1, 3, 4, 5, 6, 8, 9, 10]], unit(1, seed=5)])
    assert np.array_equal(after.vectors(range(9)), expected)
    assert np.array_equal(before.vectors(range(11)), vectors)  # of files that are gone
    assert before.keys(range(11)) == [str(n) for n in range(11)]
    assert not list(store.folder.glob("00000-*"))
    store.add(["0"], unit(1))
    assert store.snapshot().rows_of(["0", "10"]).tolist() == [9, 7]
    store.delete(store.snapshot().keys(range(10)))
    store.compact()
    assert (store.snapshot().rows, len(store.snapshot())) == (0, 0)
    assert store.snapshot().rows_of(["0"]).tolist() == [-1]


def test_float16_is_read_as_float32(tmp_path):
    values = unit(6) * 100
    with VectorStore.create(
        tmp_path / "s", width=WIDTH, dtype="float16", normalized=False
    ) as store:
        store.add(list("abcdef"), values)
        store.delete(["b"])
        store.compact()
    found = VectorStore.open(tmp_path / "s").snapshot().vectors(range(5))
    assert found.dtype == np.float32
    assert np.array_equal(found, values[[0, 2, 3, 4, 5]].astype(np.float16).astype(np.float32))
    assert (tmp_path / "s" / "00001-00000.vectors").stat().st_size == 5 * WIDTH * 2


def test_many_small_commits_make_few_files_and_a_manifest_that_does_not_grow(tmp_path):
    with VectorStore.create(tmp_path / "s", width=WIDTH) as store:
        store.add(["a"], unit(1))
        size = (tmp_path / "s" / "manifest.json").stat().st_size
        for number in range(30):
            store.add([f"k{number}"], unit(1))
        store.delete(["k3"])
    names = sorted(file.name for file in (tmp_path / "s").iterdir())
    assert names == ["00000-00000.journal", "00000-00000.vectors", "manifest.json"]
    assert (tmp_path / "s" / "manifest.json").stat().st_size <= size + 8  # digits


def test_there_is_one_writer(store):
    import threading

    refused = []

    def other():
        with pytest.raises(FolderInUse, match="works on it"):
            VectorStore.open(store.folder, write=True)
        refused.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert refused == [True]
    store.close()
    with VectorStore.open(store.folder, write=True) as again:
        assert again.add(["a"], unit(1)).tolist() == [0]


def test_two_stores_of_one_thread_write_in_turn(store):
    other = VectorStore.open(store.folder, write=True)
    store.add(["a"], unit(1))
    other.add(["b"], unit(1))
    store.delete(["b"])
    assert other.snapshot().rows_of(["a", "b"]).tolist() == [0, -1]
    other.close()


def test_the_last_store_of_a_thread_gives_up_the_lock(store):
    import threading

    def opened():
        try:
            VectorStore.open(store.folder, write=True).close()
        except FolderInUse:
            return False
        return True

    found = []

    def elsewhere():
        thread = threading.Thread(target=lambda: found.append(opened()))
        thread.start()
        thread.join()

    other = VectorStore.open(store.folder, write=True)
    store.close()
    store.close()
    elsewhere()
    assert other.add(["a"], unit(1)).tolist() == [0]
    other.close()
    elsewhere()
    assert found == [False, True]


def test_another_store_in_the_same_place_is_not_mixed_up(tmp_path):
    import shutil

    with VectorStore.create(tmp_path / "s", width=WIDTH) as store:
        store.add(["a", "b"], unit(2))
    reader = VectorStore.open(tmp_path / "s")
    former = reader.snapshot()
    assert former.keys([0]) == ["a"]
    shutil.rmtree(tmp_path / "s")
    with VectorStore.create(tmp_path / "s", width=WIDTH) as store:
        store.add(["c", "d", "e"], unit(3, seed=3))
        store.add(["f"], unit(1))
    assert reader.snapshot().keys(range(4)) == ["c", "d", "e", "f"]
    assert np.array_equal(reader.snapshot().vectors([0]), unit(3, seed=3)[:1])
    assert former.keys([0, 1]) == ["a", "b"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"width": 0}, "width is 0; give a whole number of 1 or more"),
        ({"width": 2.5}, "width is 2.5"),
        ({"width": 2, "segment_rows": 0}, "segment_rows is 0"),
        ({"width": 2, "dtype": "int8"}, 'dtype is \'int8\'; choose "float32" or "float16"'),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, settings, said):
    with pytest.raises(ValueError, match=said):
        VectorStore.create(tmp_path / "s", **settings)
    assert not (tmp_path / "s").exists()


def test_a_folder_that_is_not_a_store_is_refused(tmp_path, store):
    with pytest.raises(FileNotFoundError, match=r"holds no vector store .*VectorStore.create"):
        VectorStore.open(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileExistsError, match="is not empty; name another folder"):
        VectorStore.create(store.folder, width=2)


def test_keys_that_are_there_and_keys_that_are_not(store):
    store.add(["a", "b"], unit(2))
    with pytest.raises(
        ValueError, match=r"keys\[1\] is 'b', which row 1 has; replace it with update"
    ):
        store.add(["c", "b"], unit(2))
    with pytest.raises(ValueError, match=r"keys\[1\] is 'c', which no row has; put it in with add"):
        store.update(["a", "c"], unit(2))
    assert store.snapshot().version == 1


def test_a_reader_does_not_write(store):
    reader = VectorStore.open(store.folder)
    for write in (lambda: reader.add(["a"], unit(1)), lambda: reader.delete([]), reader.compact):
        with pytest.raises(ValueError, match=r"is open for reading here; open it .*write=True"):
            write()
    store.close()
    with pytest.raises(ValueError, match="is open for reading here"):
        store.update([], [])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([2], "there is no row 2: this snapshot has rows 0 to 1 of generation 0"),
        ([-1], "there is no row -1"),
        ([True, False], "of bool; give a list of row numbers"),
        ([0.5], "of float64"),
        (0, r"shape \[\]"),
    ],
)
def test_rows_that_are_not_there_are_refused(store, rows, said):
    store.add(["a", "b"], unit(2))
    for read in ("vectors", "keys", "records"):
        with pytest.raises(ValueError, match=said):
            getattr(store.snapshot(), read)(rows)


def test_one_text_in_place_of_keys_is_refused(store):
    with pytest.raises(ValueError, match="keys is one text, 'abc'; give a list of keys"):
        store.snapshot().rows_of("abc")
    with pytest.raises(ValueError, match=r"keys\[1\] is 3; a key is a text"):
        store.snapshot().rows_of(["a", 3])
    assert store.snapshot().rows_of(["\ud800"]).tolist() == [-1]
