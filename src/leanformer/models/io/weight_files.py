"""Which files hold a folder's weights and which tensors, found without reading the weights.

    8 bytes: length of the header │ header, JSON │ the tensors, one after the other

The header of a safetensors file gives each tensor's dtype, shape and offsets. So the first
kilobytes of a file and its size show whether it is truncated or something else.
"""

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanformer.core.shown import shown
from leanformer.core.storage.json_file import MAX_BYTES, parse_json, read_json

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_PRE_EMPTING = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors\s*")
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16,
    "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A tensor, as a header describes it.

    Attributes:
        dtype: As safetensors writes it, e.g. "F32".
        shape: Its shape.
    """

    dtype: str
    shape: tuple[int, ...]


def weight_entries(folder: Path) -> dict[str, Entry]:
    """All tensors in the weights of `folder`, by name.

    Raises:
        ValueError: There are no weights, or pickled ones only; a file is damaged or missing; an
            index names a file outside the folder, or a tensor that its file does not have.
    """
    if early := next((f for f in folder.iterdir() if _PRE_EMPTING.fullmatch(f.name)), None):
        raise ValueError(
            f"{early}: transformers reads files of this name, shards of a distributed training, "
            "in place of model.safetensors; save the model again with save_pretrained, or remove it"
        )
    if (folder / "model.safetensors").is_file():
        return file_entries(folder / "model.safetensors")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return _sharded(index)
    pickles = sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))
    if pickles:
        raise ValueError(
            f"{folder} has pickled weights only ({pickles[0]}), which can run any code when "
            "loaded and are refused; save it again with save_pretrained, which writes safetensors"
        )
    raise ValueError(f"{folder} has no weights: model.safetensors is missing")


def file_entries(file: Path) -> dict[str, Entry]:
    """The tensors of a safetensors file, whose header and size are checked.

    Raises:
        ValueError: The file is truncated, is longer than its header says, or is not safetensors.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else MAX_BYTES + 1
        if length > min(MAX_BYTES, size - 8):
            raise ValueError(f"{file} is not a whole safetensors file: its header does not fit")
        raw = stream.read(length)
    try:
        header = parse_json(raw)
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        entries = {name: _entry(entry) for name, entry in tensors.items()}
        end = _end([tuple(entry["data_offsets"]) for entry in tensors.values()])
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"{file} is damaged: its header is not one of safetensors") from error
    if size != 8 + length + end:
        raise ValueError(
            f"{file} is damaged: it has {size} bytes and its header describes {8 + length + end}; "
            "copy or download it again"
        )
    return entries


def _entry(entry: dict[str, Any]) -> Entry:
    shape, (begin, end) = tuple(entry["shape"]), entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError("a shape or an offset is not a whole number")
    if math.prod(shape) * _BITS[entry["dtype"]] != 8 * (end - begin):
        raise ValueError("a tensor does not fill its place")
    return Entry(entry["dtype"], shape)


def _end(places: list[tuple[int, int]]) -> int:
    """Where the last tensor ends, if each begins where another ends."""
    reached = 0
    for begin, end in sorted(places):
        if begin != reached:
            raise ValueError("the tensors leave gaps or overlap")
        reached = end
    return reached


def _sharded(index: Path) -> dict[str, Entry]:
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise ValueError(f"{index}: weight_map must be a table of tensors and their files")
    files = {tensor: str(name) for tensor, name in table.items()}
    shards = {name: file_entries(_shard(index, name)) for name in sorted(set(files.values()))}
    for tensor, name in files.items():
        if tensor not in shards[name]:
            raise ValueError(
                f"{index} is damaged: it says that {tensor} is in {name}, which does not hold it"
            )
    return {tensor: entry for entries in shards.values() for tensor, entry in entries.items()}


def _shard(index: Path, name: str) -> Path:
    """A file that an index names, which must lie beside it."""
    folder, shard = index.parent, index.parent / name
    if not re.fullmatch(r"[^/\\:]+\.safetensors", name) or not _inside(folder, shard.resolve()):
        raise ValueError(
            f"{index} names {shown(name)}; an index may name .safetensors files of its own "
            "folder only"
        )
    if not shard.is_file():
        raise ValueError(f"{shard} is missing; {index.name} names it")
    return shard


def _inside(folder: Path, file: Path) -> bool:
    """Whether a file, all links followed, belongs to the folder.

    The hub's cache keeps the files of all revisions of a model in `blobs`, and links to them.
    """
    place = folder.resolve()
    places = [place]
    if place.parent.name == "snapshots":
        places.append(place.parent.parent / "blobs")
    return any(file.is_relative_to(one) for one in places)
