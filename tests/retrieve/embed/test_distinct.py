"""Two rows of one id are refused, wherever the first is; equal hashes of other ids are not."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from embed_samples import Hashing
from hypothesis import given
from hypothesis import strategies as st

from leanformer.retrieve.embed import distinct
from leanformer.retrieve.embed.distinct import Hashes
from leanformer.retrieve.embed.files import embed_files
from leanformer.retrieve.embed.stored import Embeddings


def written(folder: Path, ids: list[str]) -> Path:
    lines = ["key,text", *(f"{one},text {number}" for number, one in enumerate(ids))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return folder / "t.csv"


def embedded(path: Path, **options: object) -> Embeddings:
    options = {"id": "key", "shard_texts": 4} | options
    return embed_files(Hashing(), path, path.parent / "out", **options)  # type: ignore[arg-type]


def test_an_id_that_comes_twice_in_a_window_is_refused_with_both_places(tmp_path: Path) -> None:
    path = written(tmp_path, ["a", "b", "a"])
    with pytest.raises(ValueError, match=r"t\.csv:4: its id 'a' is the one that .*t\.csv:2 has; "):
        embedded(path)


@pytest.mark.parametrize("skip_errors", [False, True])
def test_an_id_that_a_shard_has_is_refused_with_its_vector(
    tmp_path: Path, skip_errors: bool
) -> None:
    path = written(tmp_path, [*map(str, range(10)), "6"])
    said = r"t\.csv:12: its id '6' is the one that vector 6 of .*out has; give each row an id"
    for _ in range(2):  # the second run goes on where the first stopped
        with pytest.raises(ValueError, match=said):
            embedded(path, skip_errors=skip_errors)
    assert not (tmp_path / "out" / "embeddings.json").exists()
    written(tmp_path, [*map(str, range(10)), "10"])
    assert list(embedded(path, skip_errors=skip_errors).ids) == [*map(str, range(11))]


def test_rows_that_are_counted_may_have_equal_columns(tmp_path: Path) -> None:
    assert len(embedded(written(tmp_path, ["a"] * 9), id=None)) == 9


def test_ids_of_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "key_hash", lambda key: len(key))
    assert len(embedded(written(tmp_path, [*map(str, range(30))]))) == 30


@given(st.lists(st.lists(st.integers(0, 50), max_size=9), max_size=9))
def test_hashes_are_a_set(batches: list[list[int]]) -> None:
    hashes, known = Hashes(), set[int]()
    for batch in batches:
        values = np.array(batch, np.uint64)
        assert hashes.met(values).tolist() == [value in known for value in batch]
        hashes.add(values)
        known |= set(batch)


def test_a_row_takes_8_bytes() -> None:
    rows = np.random.default_rng(0).integers(0, 2**63, 200_000).astype(np.uint64)
    tracemalloc.start()
    try:
        hashes = Hashes()
        for begin in range(0, len(rows), 4096):
            hashes.add(rows[begin : begin + 4096])
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 8.1 * len(rows)
    assert peak < 25 * len(rows)  # where arrays are merged
