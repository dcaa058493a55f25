"""Stored embeddings read like a matrix in memory, and damage is named."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from embed_samples import Hashing, write_texts
from hypothesis import given
from hypothesis import strategies as st

from leanformer.retrieve.embed.files import embed_files
from leanformer.retrieve.embed.stored import LISTING, Embeddings, read_embeddings


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    folder = tmp_path_factory.mktemp("stored")
    write_texts(folder / "texts.csv", 50)
    with (folder / "texts.csv").open("a", encoding="utf-8") as file:
        file.write("".join("k,a,b\n" for _ in range(40)) + "ключ,ü\n")  # a shard without vectors
    return embed_files(
        Hashing(), folder / "texts.csv", folder / "out", id="key", skip_errors=True, shard_texts=16
    )


@given(st.data())
def test_rows_are_those_of_a_matrix(stored: Embeddings, data: st.DataObject) -> None:
    matrix = np.asarray(stored.vectors)
    count = len(matrix)
    ends = st.none() | st.integers(-count - 3, count + 3)
    steps = st.sampled_from([None, 1, -1, 3])
    rows = data.draw(
        st.integers(-count, count - 1)
        | st.builds(slice, ends, ends, steps)
        | st.lists(st.integers(-count, count - 1), min_size=1).map(np.array)
        | st.lists(st.booleans(), min_size=count, max_size=count).map(np.array)
    )
    np.testing.assert_array_equal(stored.vectors[rows], matrix[rows])
    if isinstance(rows, int | slice):
        assert stored.ids[rows] == [*stored.ids][rows]


def test_shape_blocks_and_ids(stored: Embeddings) -> None:
    assert stored.vectors.shape == (51, 6)
    assert len(stored) == len(stored.ids) == 51
    assert stored.ids[-1] == "ключ"
    blocks = [*stored.vectors.blocks(20)]
    assert [len(block) for block in blocks] == [20, 20, 11]
    np.testing.assert_array_equal(np.concatenate(blocks), np.asarray(stored.vectors))
    assert np.asarray(stored.vectors, np.float64).dtype == np.float64
    assert stored.vectors[[]].shape == (0, 6)
    with pytest.raises(ValueError, match="copy=False cannot give them"):
        np.array(stored.vectors, copy=False)


def test_there_are_no_rows_past_the_end(stored: Embeddings) -> None:
    with pytest.raises(IndexError):
        stored.vectors[51]
    with pytest.raises(IndexError):
        stored.ids[51]


def test_damage_is_named(stored: Embeddings, tmp_path: Path) -> None:
    out = Path(shutil.copytree(stored.folder, tmp_path / "out"))
    ids = out / "shard-00001" / "ids.utf8"
    kept = ids.read_bytes()
    ids.write_bytes(kept[:-1] + b"x")
    assert read_embeddings(out, check=False).vectors.shape == (51, 6)
    with pytest.raises(ValueError, match=r"ids\.utf8 was altered after it was written"):
        read_embeddings(out)
    ids.write_bytes(kept[:-1])
    with pytest.raises(ValueError, match=r"ids\.utf8 has \d+ bytes and had \d+"):
        read_embeddings(out, check=False)
    listing = out / LISTING
    written = listing.read_text()
    listing.write_text(written.replace('"width": 6', '"width": 7'))
    with pytest.raises(ValueError, match=r"embeddings\.json was altered after it was written"):
        read_embeddings(out)
    listing.write_text(written.replace('"format": 1', '"format": 2'))
    with pytest.raises(ValueError, match="is not of format 1"):
        read_embeddings(out)
    listing.unlink()
    with pytest.raises(ValueError, match=r"embeddings\.json is missing: nothing was embedded"):
        read_embeddings(out)


@pytest.mark.parametrize("name", ["vectors.npy", "ids.utf8", "ids.ends"])
def test_a_file_that_was_cut_is_refused_before_it_is_mapped(
    stored: Embeddings, tmp_path: Path, name: str
) -> None:
    out = Path(shutil.copytree(stored.folder, tmp_path / "out"))
    file = out / "shard-00001" / name
    for size in (file.stat().st_size - 1, file.stat().st_size // 2, 0):
        os.truncate(file, size)
        with pytest.raises(ValueError, match=rf"{name} has {size} bytes and had \d+"):
            read_embeddings(out, check=False)


def test_a_shard_of_another_shape_than_the_listing_says_is_named(
    stored: Embeddings, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(stored.folder, tmp_path / "out"))
    file = out / "shard-00001" / "vectors.npy"
    raw = file.read_bytes()
    file.write_bytes(raw.replace(b"(16, 6)", b"(15, 6)"))
    with pytest.raises(ValueError, match=r"vectors\.npy holds float32 of shape \(15, 6\), and"):
        read_embeddings(out, check=False)
    file.write_bytes(raw)
    ends = out / "shard-00001" / "ids.ends"
    ends.write_bytes(ends.read_bytes()[:-8] + bytes(8))
    with pytest.raises(ValueError, match=r"ids\.utf8 does not hold the 16 ids that"):
        read_embeddings(out, check=False)
