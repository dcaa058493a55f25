"""The contents of a model folder, checked before the model is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from leanformer.core.shown import shown
from leanformer.core.storage.json_file import read_json
from leanformer.models.families import FAMILIES, PREFIX, STORED, WHOLE, family_of
from leanformer.models.io.foreign import refuse_foreign
from leanformer.models.io.weight_files import Entry, weight_entries

_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_OTHERS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "tokenizer.json",
    "generation_config.json",
)


@dataclass(frozen=True)
class Checkpoint:
    """A folder that can be loaded.

    Attributes:
        folder: Where it is.
        config: Its config.json.
        tensors: The dtype and shape of its tensors, by name.
    """

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, Entry]


def read_checkpoint(folder: Path) -> Checkpoint:
    """The folder's contents, checked.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: It is a file.
        ValueError: It is not a model, is of an unknown architecture, asks for foreign code or
            files, or has only pickled weights, a damaged file or no tokenizer. The message names
            the file.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; a model is the folder with its config.json")
    for file in sorted(folder.iterdir()):
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise ValueError(f"{file} is a pipe or a device; reading it might never end")
    config = _read_config(folder)
    for name in _OTHERS:  # transformers would read them to any size and depth
        if (folder / name).is_file():
            read_json(folder / name)
    refuse_foreign(folder, config)
    tensors = weight_entries(folder)
    if not any(next(folder.glob(pattern), None) for pattern in _TOKENIZERS):
        raise ValueError(
            f"{folder} has no tokenizer (tokenizer.json); save it beside the model "
            "with tokenizer.save_pretrained"
        )
    return Checkpoint(folder, config, tensors)


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(f"{folder} is not a model: it has no config.json")
    config = read_json(file)
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise ValueError(f"{file} names no model_type; is this a transformers model?")
    if not _is_readable(model_type):
        raise ValueError(
            f"{file}: architecture {shown(model_type)} is not known to leanformer; known are "
            f"{', '.join((*FAMILIES, *WHOLE))}, and as teachers all that transformers can load "
            "as text classifiers"
        )
    architectures = config.get("architectures")
    if architectures is not None and not (
        isinstance(architectures, list) and all(isinstance(name, str) for name in architectures)
    ):
        raise ValueError(
            f"{file}: architectures is {shown(architectures)}, which is not a list of names"
        )
    return config


def _is_readable(model_type: str) -> bool:
    """Whether models of this type are loaded: those that can be cut, and teachers of any other
    architecture that reads texts.
    """
    if family_of(model_type) in (*FAMILIES, *WHOLE):
        return True
    plain = not model_type.startswith((STORED, PREFIX))
    return plain and model_type in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
