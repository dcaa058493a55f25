"""What a model folder holds, read without loading it, and refused where it cannot be loaded.

A safetensors file begins with 8 bytes that give the length of a JSON header; the header gives each
tensor's place in the rest. So a truncated or foreign file is known by a look at its first kilobytes
and its size.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanformer.models.families import FAMILIES, WHOLE, family_of

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_MAX_HEADER = 100 * 2**20


@dataclass(frozen=True)
class Checkpoint:
    """A folder that can be loaded.

    Attributes:
        folder: Where it is.
        config: Its config.json.
        keys: The names of its tensors.
    """

    folder: Path
    config: dict[str, Any]
    keys: frozenset[str]


def read_checkpoint(folder: Path) -> Checkpoint:
    """The folder's contents, checked.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: It is a file.
        ValueError: It is no model, an unknown architecture, has pickled weights only, a damaged
            file or no tokenizer. The message names the file.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; a model is the folder with its config.json")
    config = _read_config(folder)
    keys: set[str] = set()
    for file in _weight_files(folder):
        keys |= safetensors_keys(file)
    if not any(next(folder.glob(pattern), None) for pattern in _TOKENIZERS):
        raise ValueError(
            f"{folder} has no tokenizer (tokenizer.json); save it beside the model "
            "with tokenizer.save_pretrained"
        )
    return Checkpoint(folder, config, frozenset(keys))


def safetensors_keys(file: Path) -> set[str]:
    """The names of the tensors in a safetensors file, whose header and size are checked.

    Raises:
        ValueError: The file is truncated, has something after its end, or is no safetensors.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _MAX_HEADER + 1
        if length > min(_MAX_HEADER, size - 8):
            raise ValueError(f"{file} is no whole safetensors file: its header does not fit in it")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    except (ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"{file} is damaged: its header is no safetensors header") from error
    if size != 8 + length + end:
        raise ValueError(
            f"{file} is damaged: it has {size} bytes and its header describes {8 + length + end}; "
            "copy or download it again"
        )
    return set(tensors)


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(f"{folder} is no model: it has no config.json")
    config = _json(file)
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise ValueError(f"{file} names no model_type; is this a transformers model?")
    if family_of(model_type) not in (*FAMILIES, *WHOLE):
        raise ValueError(
            f"{file}: architecture {model_type!r} is not known to leanformer; "
            f"known are {', '.join((*FAMILIES, *WHOLE))}"
        )
    return config


def _weight_files(folder: Path) -> list[Path]:
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = [
            folder / name for name in sorted(set(_json(index).get("weight_map", {}).values()))
        ]
        missing = [shard for shard in shards if not shard.is_file()]
        if missing:
            raise ValueError(f"{missing[0]} is missing; {index.name} names it")
        return shards
    pickles = sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))
    if pickles:
        raise ValueError(
            f"{folder} has pickled weights only ({pickles[0]}), which can run any code when "
            "loaded and are refused; save it again with save_pretrained, which writes safetensors"
        )
    raise ValueError(f"{folder} has no weights: model.safetensors is missing")


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{file} must hold a JSON object, not {type(value).__name__}")
    return value
