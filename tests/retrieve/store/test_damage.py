"""Each byte of each file, altered: it is named by file and place, or it was never committed."""

import re
import shutil

import numpy as np
import pytest

from leanformer.retrieve.store import VectorStore


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("damage") / "s"
    with VectorStore.create(place, width=3, normalized=False, segment_rows=4) as store:
        store.add(["a", "b", "c"], np.arange(9).reshape(3, 3), [{"text": "t"}, {}, {}])
        store.update(["b"], np.ones((1, 3)))
        store.add(["d"], np.ones((1, 3)))
    return place


def read(folder):
    snapshot = VectorStore.open(folder).snapshot()
    rows = np.arange(snapshot.rows)
    return (
        snapshot.vectors(rows).tolist(),
        snapshot.keys(rows),
        snapshot.records(rows),
        snapshot.alive().tolist(),
        snapshot.rows_of(["a", "b", "z"]).tolist(),
    )


NAMES = ("manifest.json", *(f"00000-0000{n}.{k}" for n in (0, 1) for k in ("vectors", "journal")))


@pytest.mark.parametrize("name", NAMES)
def test_each_altered_byte_is_named(whole, tmp_path, name):
    file = shutil.copytree(whole, tmp_path / "s") / name
    raw = file.read_bytes()
    for at in range(len(raw)):
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :])
        with pytest.raises(ValueError, match=re.escape(str(file))) as found:
            read(file.parent)
        said = str(found.value)
        assert "restore the store's folder from a copy" in said
        if name != "manifest.json":
            assert int(re.search(r"at byte (\d+)", said)[1]) <= at, said


@pytest.mark.parametrize("name", NAMES)
def test_each_length_is_told(whole, tmp_path, name):
    file, expected = shutil.copytree(whole, tmp_path / "s") / name, read(whole)
    raw = file.read_bytes()
    for size in range(len(raw)):
        file.write_bytes(raw[:size])
        with pytest.raises(ValueError, match=re.escape(str(file))) as found:
            read(file.parent)
        if name != "manifest.json":
            assert f"too early, at byte {size}:" in str(found.value)
    if name != "manifest.json":
        file.write_bytes(raw + raw[-20:])  # what a killed writer might have left
        assert read(file.parent) == expected
        VectorStore.open(file.parent, write=True).close()
        assert file.read_bytes() == raw
        file.unlink()
        with pytest.raises(ValueError, match=rf"{name} is missing, though the manifest names it"):
            read(file.parent)


def test_files_of_others_are_left_alone(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "s")
    (folder / "my.vectors").write_text("precious")
    (folder / "00003-00000.vectors").write_text("of a compaction that was killed")
    VectorStore.open(folder, write=True).close()
    assert sorted(file.name for file in folder.iterdir()) == sorted([*NAMES, "my.vectors"])


def test_other_rows_can_be_read_and_a_damaged_store_is_not_compacted(tmp_path):
    with VectorStore.create(tmp_path / "s", width=2**16, normalized=False) as store:
        store.add(["a", "b"], np.ones((2, 2**16)))  # a block each
        file = tmp_path / "s" / "00000-00000.vectors"
        raw = bytearray(file.read_bytes())
        raw[2**18 + 9] ^= 1
        file.write_bytes(raw)
        assert (store.snapshot().vectors([0]) == 1).all()
        said = rf"{file}: the checksum of the vectors is wrong at byte {2**18}"
        for found in (lambda: store.snapshot().vectors([0, 1]), store.verify, store.compact):
            with pytest.raises(ValueError, match=re.escape(said[:-1])):
                found()
        assert store.snapshot().generation == 0
        assert not list((tmp_path / "s").glob("00001*"))


def test_a_later_format_is_told(whole, tmp_path):
    import json

    from leanformer.retrieve.store.manifest import _checksum

    file = shutil.copytree(whole, tmp_path / "s") / "manifest.json"
    table = json.loads(file.read_text()) | {"format": 2}
    del table["crc32"]
    file.write_text(json.dumps(table | {"crc32": _checksum(table)}))
    with pytest.raises(ValueError, match="is of format 2, and this version reads 1; install"):
        VectorStore.open(file.parent)


@pytest.mark.parametrize(
    "change",
    [{"width": 0}, {"deleted": -1}, {"dtype": "int8"}, {"segments": [3]}, {"segments": [[]]}, {}],
)
def test_a_manifest_that_makes_no_sense_is_refused(whole, tmp_path, change):
    import json

    from leanformer.retrieve.store.manifest import _checksum

    file = shutil.copytree(whole, tmp_path / "s") / "manifest.json"
    table = json.loads(file.read_text()) | change
    del table["crc32"]
    if not change:
        del table["width"]
    file.write_text(json.dumps(table | {"crc32": _checksum(table)}))
    with pytest.raises(ValueError, match=r"manifest\.json was altered"):
        VectorStore.open(file.parent)
    file.unlink()
    file.mkdir()
    with pytest.raises(ValueError, match="is not the manifest of a store"):
        VectorStore.open(file.parent)
