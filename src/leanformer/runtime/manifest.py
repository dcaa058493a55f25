"""What a served folder says about itself: `leanformer.json`.

    <folder>/leanformer.json        task, labels, the backend that won, checksums
    <folder>/config.json, model.safetensors, tokenizer files
    <folder>/openvino/<precision>/model.xml, model.bin
    <folder>/onnx/<precision>/model.onnx

Checksums tell a copied, cut or edited file apart from the one that was measured.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from leanformer.core.files import write_text
from leanformer.core.json_file import read_json
from leanformer.core.processor import instructions
from leanformer.runtime.session import (
    BACKENDS,
    PRECISIONS,
    Backend,
    Precision,
    graph_file,
)
from leanformer.tasks import kind_names

NAME = "leanformer.json"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of a served folder.

    Attributes:
        kind: The task.
        labels: Label names by index; empty for regression, ranking and embedding.
        thresholds: The probability from which each label is answered, for multi-label; () = 0.5.
        max_length: The longest input in tokens.
        pairs: Whether inputs are pairs of texts.
        backend: The backend that is used unless another is named.
        precision: Its precision.
        race: The rows of the race that chose it.
        batch_dependent: Whether an answer changes with the other texts of its batch, as with ONNX
            Runtime's dynamic int8.
        instructions: Instruction sets of the CPU that it was exported on.
        files: SHA-256 of each file by its path in the folder.
        format: Version of this description.
    """

    kind: str
    labels: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()
    max_length: int = 512
    pairs: bool = False
    backend: Backend = "pytorch"
    precision: Precision = "fp32"
    race: tuple[dict[str, Any], ...] = ()
    batch_dependent: bool = False
    instructions: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    format: int = _FORMAT


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write `leanformer.json` with the checksums of every file that is in `folder` now."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != NAME)
    files = {path.relative_to(folder).as_posix(): _digest(path) for path in paths}
    manifest = replace(manifest, files=files, instructions=tuple(instructions()))
    write_text(folder / NAME, json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The description of `folder`.

    Raises:
        FileNotFoundError: There is no `leanformer.json`.
        ValueError: It is not what `write_manifest` writes.
    """
    path = folder / NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: {folder} was not exported by leanformer; "
            "make it with `leanformer compress`, or export the model first"
        )
    fields = read_json(path)
    if fields.get("format", _FORMAT) != _FORMAT:
        raise ValueError(
            f"{path}: format {fields['format']!r} is not {_FORMAT}, which this version reads; "
            "update leanformer, or export the model again"
        )
    try:
        lists = {
            key: tuple(fields.get(key, ()))
            for key in ("labels", "thresholds", "race", "instructions")
        }
        manifest = Manifest(**{**fields, **lists})
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); export the model again") from error
    _check_fields(path, manifest)
    return manifest


def _check_fields(path: Path, manifest: Manifest) -> None:
    for name, value, known in (
        ("kind", manifest.kind, kind_names(served=True)),
        ("backend", manifest.backend, BACKENDS),
        ("precision", manifest.precision, PRECISIONS),
    ):
        if value not in known:
            raise ValueError(f"{path}: {name} {value!r} is not one of {', '.join(known)}")
    thresholds, count = manifest.thresholds, len(manifest.labels)
    fit = all(isinstance(one, float) and 0 <= one <= 1 for one in thresholds)
    if thresholds and (len(thresholds) != count or not fit):
        raise ValueError(
            f"{path}: thresholds is {list(thresholds)!r}, not a probability for each of {count} "
            "labels; export it again"
        )
    for name, kind in (("max_length", int), ("pairs", bool), ("files", dict)):
        value = getattr(manifest, name)
        if not isinstance(value, kind):
            raise ValueError(f"{path}: {name} is {value!r}, not {kind.__name__}; export it again")


def served_files(folder: Path, manifest: Manifest, backend: str, precision: str) -> list[Path]:
    """The files that `backend` needs to answer: its graph and weights, the tokenizer, the JSON."""
    graph = graph_file(folder, backend, precision)
    needed = [folder / NAME]
    for name in manifest.files:
        path = folder / name
        top = "/" not in name and (path.suffix != ".safetensors" or backend == "pytorch")
        pooling = backend == "pytorch" and path.name == "config.json"
        if top or pooling or path.parent == graph.parent:
            needed.append(path)
    return needed


def check_files(folder: Path, manifest: Manifest, backend: str, precision: str) -> None:
    """Refuse a folder whose files are not those that were exported.

    Raises:
        ValueError: The graph was not exported, a file is missing, or its checksum differs.
    """
    graph = graph_file(folder, backend, precision)
    if graph.relative_to(folder).as_posix() not in manifest.files:
        raise ValueError(f"{folder} holds no {backend} {precision} model; it has {held(manifest)}")
    for path in served_files(folder, manifest, backend, precision):
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            raise ValueError(f"{path} is missing; export the model again")
        if name != NAME and _digest(path) != manifest.files[name]:
            raise ValueError(f"{path} is damaged: its checksum is not the recorded one; copy again")


def held(manifest: Manifest) -> str:
    """The backends and precisions of the folder, in words."""
    pairs = [(b, p) for b in BACKENDS for p in PRECISIONS]
    root = Path()
    names = [f"{b} {p}" for b, p in pairs if graph_file(root, b, p).as_posix() in manifest.files]
    return ", ".join(name for name in names if name != "pytorch int8")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
