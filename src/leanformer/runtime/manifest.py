"""What a served folder says about itself: `leanformer.json`.

    <folder>/leanformer.json        task, labels, kind of system, the backend that won, checksums
    <folder>/...                    whatever the system needs; for a transformer:
    <folder>/config.json, model.safetensors, tokenizer files
    <folder>/openvino/openvino_model.xml, .bin; openvino_model_qint8_quantized.xml, .bin
    <folder>/onnx/model.onnx

Checksums tell a copied, cut or edited file apart from the one that was measured; the last field is
the checksum of the description itself. Formats 1 and 2 still open: graphs lay in a folder for each
precision in the first, and neither had that checksum.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from leanformer.core.machine.processor import instructions
from leanformer.core.storage.files import contents, recover_folder, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.runtime.backends import FORMAT, graph_file, registered
from leanformer.runtime.session import Precision
from leanformer.tasks import kind_names

NAME = "leanformer.json"
_FORMATS = (1, 2, FORMAT)
_LISTS = ("labels", "thresholds", "race", "instructions")
_OWN = "checksum"  # the field that is the checksum of the others
_UNSIGNED = (1, 2)  # formats in which that field may be missing


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a served folder.

    Attributes:
        kind: The task.
        system: What answers: the name of a kind of system (`leanformer.runtime.systems`).
        labels: Label names by index; empty for regression, ranking and embedding.
        thresholds: The probability from which each label is answered, for multi-label; () = 0.5.
        max_length: The longest input in tokens, where the system reads tokens.
        pairs: Whether inputs are pairs of texts.
        backend: The backend that is used unless another is named; for what is not a transformer,
            the library that computes.
        precision: Its precision.
        race: The rows of the race that chose it.
        batch_dependent: Whether an answer changes with the other texts of its batch, as with ONNX
            Runtime's dynamic int8.
        tokenizer: Which tokenizer reads texts, and what it was compared with
            (`leanformer.runtime.tokenizer`); empty = Hugging Face's.
        instructions: Instruction sets of the CPU that it was exported on.
        files: SHA-256 of each file by its path in the folder.
        format: Version of this description and of the layout of the folder.
    """

    kind: str
    system: str = "transformer"
    labels: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()
    max_length: int = 512
    pairs: bool = False
    backend: str = "pytorch"
    precision: Precision = "fp32"
    race: tuple[dict[str, Any], ...] = ()
    batch_dependent: bool = False
    tokenizer: dict[str, str] = field(default_factory=dict)
    instructions: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


def write_manifest(folder: Path, manifest: Manifest, *, exported_here: bool = True) -> Manifest:
    """Write `leanformer.json` with the checksums of every file that is in `folder` now.

    Args:
        folder: The folder.
        manifest: Its description.
        exported_here: Whether this CPU exported it; False keeps the instruction sets that
            `manifest` names, as for a copy.
    """
    paths = [path for path in contents(folder) if path != folder / NAME]
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}
    sets = tuple(instructions()) if exported_here else manifest.instructions
    manifest = replace(manifest, files=files, instructions=sets)
    fields = asdict(manifest)
    fields[_OWN] = _signature(fields)
    write_text(folder / NAME, json.dumps(fields, indent=2, ensure_ascii=False) + "\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The description of `folder`.

    Raises:
        FileNotFoundError: There is no `leanformer.json`.
        ValueError: It is not what `write_manifest` wrote.
    """
    path = folder / NAME
    recover_folder(folder)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: {folder} was not exported by leanformer; "
            "make it with `leanformer compress`, or export the model first"
        )
    fields = read_json(path)
    signature = fields.pop(_OWN, None)
    signed = _signature(fields)
    if fields.setdefault("format", 1) not in _FORMATS:
        raise ValueError(
            f"{path}: format {fields['format']!r} is not among {_FORMATS}, which this version "
            "reads; update leanformer, or export the model again"
        )
    if signature != signed and not (signature is None and fields["format"] in _UNSIGNED):
        raise ValueError(
            f"{path} was altered after it was written: its checksum differs; copy it again, or "
            "export the model again"
        )
    try:
        lists = {key: tuple(_list(fields, key)) for key in _LISTS}
        manifest = Manifest(**{**fields, **lists})
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); export the model again") from error
    _check_fields(path, manifest)
    return manifest


def _list(fields: dict[str, Any], key: str) -> list[Any]:
    value = fields.get(key, [])
    if not isinstance(value, list):
        raise TypeError(f"{key} is {value!r} and not a list")
    return value


def _signature(fields: dict[str, Any]) -> str:
    """The checksum of a description, whatever the order of its fields and its spaces."""
    text = json.dumps(fields, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _check_fields(path: Path, manifest: Manifest) -> None:
    kinds = kind_names(served=True)
    if manifest.kind not in kinds:
        raise ValueError(f"{path}: kind {manifest.kind!r} is not one of {', '.join(kinds)}")
    for name, kind in (
        ("system", str),
        ("backend", str),
        ("precision", str),
        ("max_length", int),
        ("pairs", bool),
        ("tokenizer", dict),
        ("files", dict),
    ):
        value = getattr(manifest, name)
        if not isinstance(value, kind):
            raise ValueError(f"{path}: {name} is {value!r}, not {kind.__name__}; export it again")
    if not all(isinstance(one, str) for one in manifest.tokenizer.values()):
        raise ValueError(f"{path}: tokenizer is {manifest.tokenizer!r}; export it again")
    if outside := [name for name in manifest.files if _leaves(name)]:
        raise ValueError(f"{path}: file {outside[0]!r} is not inside the folder; export it again")
    if strange := [one for one in manifest.labels if not isinstance(one, str)]:
        raise ValueError(f"{path}: label {strange[0]!r} is not a text; export it again")
    thresholds, count = manifest.thresholds, len(manifest.labels)
    fit = all(isinstance(one, float) and 0 <= one <= 1 for one in thresholds)
    if thresholds and (len(thresholds) != count or not fit):
        raise ValueError(
            f"{path}: thresholds is {list(thresholds)!r}, not a probability for each of {count} "
            "labels; export it again"
        )


def _leaves(name: str) -> bool:
    """Whether a file's name leads out of its folder."""
    return name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts


def check_files(folder: Path, manifest: Manifest, names: Iterable[str]) -> None:
    """Refuse a folder whose files are not those that were exported.

    Args:
        folder: The folder.
        manifest: Its description.
        names: Names of files in `manifest.files`.

    Raises:
        ValueError: A file is missing, or its checksum differs.
    """
    for name in names:
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path} is missing; export the model again")
        if file_digest(path) != manifest.files[name]:
            raise ValueError(f"{path} is damaged: its checksum is not the recorded one; copy again")


def candidates_of(manifest: Manifest) -> list[tuple[str, Precision]]:
    """The backends and precisions that a folder holds graphs of; for PyTorch, its weights."""
    return [
        (backend.name, precision)
        for backend in registered()
        for precision in backend.precisions
        if backend.graph_file(precision, manifest.format) in manifest.files
    ]


def format_of(folder: Path) -> int:
    """The format in which the graphs of a folder without a description lie."""
    old = [
        graph_file(folder, backend.name, precision, 1)
        for backend in registered()
        for precision in backend.precisions
        if backend.graph_file(precision, 1) != backend.graph_file(precision)
    ]
    return 1 if any(path.is_file() for path in old) else FORMAT


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
