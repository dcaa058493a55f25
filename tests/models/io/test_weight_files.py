"""Headers of safetensors, and indices of shards that name nothing outside their folder."""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from leanformer.models.io.weight_files import Entry, file_entries, weight_entries

TENSORS = {
    "a": torch.zeros(2, 3),
    "b": torch.zeros(5, dtype=torch.int64),
    "c": torch.tensor(1, dtype=torch.bfloat16),
    "d": torch.zeros(0, 4),
}
ENTRIES = {
    "a": Entry("F32", (2, 3)),
    "b": Entry("I64", (5,)),
    "c": Entry("BF16", ()),
    "d": Entry("F32", (0, 4)),
}
OUTSIDE = "an index may name .safetensors files of its own folder only"


def write(file: Path, header: Any, rest: bytes = b"") -> None:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(raw)) + raw + rest)


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def test_entries_are_those_of_safetensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert file_entries(tmp_path / "model.safetensors") == ENTRIES
    assert weight_entries(tmp_path) == ENTRIES


def test_a_header_as_written_by_hand(tmp_path: Path) -> None:
    write(tmp_path / "x", entry(), b"12345678")
    assert file_entries(tmp_path / "x") == {"x": Entry("F32", (2,))}
    write(tmp_path / "x", {})
    assert file_entries(tmp_path / "x") == {}


@pytest.mark.parametrize(
    "header",
    [
        b"x" * 20,
        b"[]",
        b'{"x": ' * 100_000,
        {"x": []},
        {"x": {"dtype": "F32"}},
        entry(dtype="F31"),
        entry(dtype=["F32"]),
        entry(shape=(3,)),
        entry(shape=(-2,)),
        entry(shape=(2.0,)),
        entry(shape=2),
        entry(offsets=(0, 8, 16)),
        entry(offsets=(8, 0)),
        entry(offsets=(1, 9)),
        entry(offsets=("0", "8")),
        entry(shape=(10**400,), offsets=(0, 4 * 10**400)),
        entry() | {"y": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}},
    ],
)
def test_headers_that_are_none(header: Any, tmp_path: Path) -> None:
    write(tmp_path / "x", header, b"12345678")
    with pytest.raises(ValueError, match=r"x is damaged: (its header is no|it has \d+ bytes and)"):
        file_entries(tmp_path / "x")
    with pytest.raises(SafetensorError), safe_open(tmp_path / "x", "pt"):
        pass


@pytest.mark.parametrize("length", [2**63, 100 * 2**20 + 1, 3])
def test_a_header_that_does_not_fit(length: int, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(
        ValueError, match="x is not a whole safetensors file: its header does not fit"
    ):
        file_entries(tmp_path / "x")


@contextmanager
def closed_by(kind: type[Exception], said: str) -> Iterator[None]:
    """What stands inside may end in such an exception, and in no other."""
    message = said
    try:
        yield
    except kind as error:
        message = str(error)
    assert said in message


@given(raw=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.safetensors"
    file.write_bytes(raw)
    with closed_by(ValueError, "any.safetensors is "):
        assert file_entries(file) == {}


def index(folder: Path, **files: Any) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a shard in it, and one beside it."""
    place = tmp_path / "m"
    place.mkdir()
    for file in (place / "model-1.safetensors", tmp_path / "other.safetensors"):
        save_file({"a": TENSORS["a"]}, file)
    return place


def test_shards(folder: Path) -> None:
    index(folder, a="model-1.safetensors")
    assert weight_entries(folder) == {"a": ENTRIES["a"]}


@pytest.mark.parametrize(
    "name",
    [
        "../other.safetensors",
        "./model-1.safetensors",
        "x/../model-1.safetensors",
        "..\\other.safetensors",
        "c:other.safetensors",
        "config.json",
        "pytorch_model.bin",
        "",
        None,
        3,
        ["model-1.safetensors"],
    ],
)
def test_an_index_names_files_of_its_folder(name: Any, folder: Path) -> None:
    index(folder, a=name)
    with pytest.raises(ValueError, match=f"index.json names .*; {OUTSIDE}"):
        weight_entries(folder)


def test_an_absolute_name(folder: Path) -> None:
    index(folder, a=str(folder / "model-1.safetensors"))
    with pytest.raises(ValueError, match=OUTSIDE):
        weight_entries(folder)


def test_a_link_that_leads_out(folder: Path) -> None:
    (folder / "link.safetensors").symlink_to(folder.parent / "other.safetensors")
    index(folder, a="link.safetensors")
    with pytest.raises(ValueError, match=OUTSIDE):
        weight_entries(folder)
    (folder / "link.safetensors").unlink()
    (folder / "link.safetensors").symlink_to(folder / "model-1.safetensors")
    assert weight_entries(folder) == {"a": ENTRIES["a"]}


def test_the_links_of_the_hubs_cache(folder: Path, tmp_path: Path) -> None:
    blobs, revision = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    revision.mkdir(parents=True)
    (folder / "model-1.safetensors").rename(blobs / "3f2a")
    (revision / "model-1.safetensors").symlink_to(Path("../../blobs/3f2a"))
    index(revision, a="model-1.safetensors")
    (tmp_path / "by-another-name").symlink_to(revision)
    for place in (revision, tmp_path / "by-another-name"):
        assert weight_entries(place) == {"a": ENTRIES["a"]}


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({"a": "model-1.safetensors", "b": "model-1.safetensors"}, "says that b is in model-1"),
        ({"a": "model-2.safetensors"}, "model-2.safetensors is missing; model.safetensors.index"),
        ({}, "weight_map must be a table of tensors and their files"),
    ],
)
def test_an_index_that_is_wrong(table: dict[str, str], match: str, folder: Path) -> None:
    index(folder, **table)
    with pytest.raises(ValueError, match=match):
        weight_entries(folder)


def test_an_index_without_a_table(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": ["model-1.safetensors"]}')
    with pytest.raises(ValueError, match="weight_map must be a table"):
        weight_entries(folder)


def test_files_that_transformers_would_prefer(folder: Path) -> None:
    save_file(TENSORS, folder / "model.safetensors")
    early = "shard-00000-model-00001-of-00001.safetensors"
    save_file(TENSORS, folder / early)
    with pytest.raises(ValueError, match=rf"{early}: transformers reads files of this name"):
        weight_entries(folder)
