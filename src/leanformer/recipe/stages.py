"""The steps of a run on disk, each known by its key (`Identity.key`).

    NN-step/              the step that is asked for
      step.json           its key, from the beginning
      checkpoint/         while it trains
      model/              what came of it
      done.json           its key, the parts of `model/` with checksums, its lines of the record
    NN-step.KEY/          a step that was asked for before in this place

A step whose settings changed is done anew, and what was there goes aside under its key: nothing is
lost, and when the former settings are asked for again, it comes back.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from leanformer.core.storage.files import is_empty, recover_folder, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.parts import LIST, compare_parts, parts_of
from leanformer.runtime.manifest import NAME as MANIFEST

MODEL = "model"
"""The folder of what came of a step, within its own."""
_REWRITTEN = (MANIFEST, LIST)  # how a folder is served may be decided later
_BEGUN, _DONE = "step.json", "done.json"
_CHECKPOINT = "checkpoint"


def take(place: Path, key: str) -> None:
    """Make `place` the folder of the step with this key, new or as it was left.

    Raises:
        ValueError: What is there does not say of which step it is.
    """
    held = _key(place)
    if held == key:
        return
    if held and any((place / name).exists() for name in (_DONE, _CHECKPOINT)):
        os.replace(place, _aside(place, held))
    elif place.exists():
        shutil.rmtree(place)  # nothing came of it, or its writer was killed before it kept the key
    if _aside(place, key).is_dir():
        os.replace(_aside(place, key), place)
    else:
        write_text(place / _BEGUN, json.dumps({"key": key}))


def finished(place: Path) -> list[dict[str, Any]] | None:
    """The lines of the record of a step that is finished; None where it is not.

    Raises:
        ValueError: Its model is not what it was when the step ended.
    """
    file = place / _DONE
    if not file.is_file():
        return None
    way_out = f"remove {place} to do this step again"
    shutil.rmtree(place / _CHECKPOINT, ignore_errors=True)  # a kill may have left it
    recover_folder(place / MODEL)
    done = _read(file, way_out)
    if done.keys() != {"key", "parts", "events"} or done["key"] != _key(place):
        raise ValueError(f"{file} does not say what came of the step: it is damaged; {way_out}")
    compare_parts(place / MODEL, done["parts"], way_out, extra="ignore", named_by=str(file))
    events: list[dict[str, Any]] = done["events"]
    return events


def finish(place: Path, saved: Path, events: list[dict[str, Any]]) -> None:
    """Keep that the step of `place` is finished.

    Args:
        place: Its folder.
        saved: Where its model lies.
        events: Its lines of the record.
    """
    assert saved == place / MODEL, "a step leaves its model in its own folder"
    parts = {name: part for name, part in parts_of(saved).items() if name not in _REWRITTEN}
    done = {"key": _key(place), "parts": parts, "events": events}
    write_text(place / _DONE, json.dumps(done))
    shutil.rmtree(place / _CHECKPOINT, ignore_errors=True)


def _key(place: Path) -> str:
    """Of which step a folder is; "" where there is none."""
    file = place / _BEGUN
    if not place.exists() or (place.is_dir() and is_empty(place)):
        return ""
    way_out = f"remove {place} to do this step again"
    key = _read(file, way_out).get("key") if file.is_file() else None
    if not isinstance(key, str) or not key.isalnum():
        raise ValueError(f"{file} does not say of which step the folder is; {way_out}")
    return key


def _read(file: Path, way_out: str) -> dict[str, Any]:
    try:
        return read_json(file)
    except ValueError as error:
        raise ValueError(f"{error}; {way_out}") from error


def _aside(place: Path, key: str) -> Path:
    return place.with_name(f"{place.name}.{key}")
