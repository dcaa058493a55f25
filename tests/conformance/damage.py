"""Damage to a folder, made systematically, and what became of it: for `test_damage`.

refused   a ValueError or OSError that names the file or its folder, in two lines at most
same      the folder is read, and gives what it gave before
wrong     it is read, and gives something else: nobody would know
broken    anything else: a traceback of another kind, or a message that names nothing
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

Damage = Callable[[Path], object]
LONGEST = 700
"""Characters of a message: paths of tests are long."""


@dataclass
class Kind:
    """A kind of folder.

    Attributes:
        make: Writes one into the folder it is given, which does not exist.
        read: What the folder gives: anything that `equal` compares.
        edits: JSON files whose keys are dropped and changed one by one; "file:key" for those
            inside one key.
        own: Whether the folder is its user's own, without checksums: files are whole, their values
            and tensors are changed, and another result is what was asked for.
        but: Edits whose names hold this are left out.
        begins: Whether the beginning of what was there may be given, as after a kill: a list.
        extra: Names of files that a reader might take in.
        foreign: Whether transformers reads it: it builds the model of config.json before it asks
            us, and its own refusals name no file.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], Any]
    edits: tuple[str, ...] = ()
    own: bool = False
    but: str = " "
    begins: bool = False
    extra: tuple[str, ...] = ("README.md", "model-00002-of-00002.safetensors", "added_tokens.json")
    foreign: bool = False


@dataclass
class Found:
    """What became of all damages of a kind."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def try_all(kind: Kind, whole: Path, copy: Path) -> Found:
    """Damage a copy of `whole` in every way, one at a time, and read it."""
    kind.make(whole)
    expected = kind.read(_copied(whole, copy))
    assert equal(kind.read(copy), expected), "an undamaged folder must give the same twice"
    found = Found()
    for name, damage in damages(kind, whole):
        damage(_copied(whole, copy))
        outcome, why = judged(kind, copy, expected)
        found.counts[outcome] += 1
        if outcome in ("wrong", "broken"):
            found.faults.append(f"{name}: {outcome} {why}")
    return found


def judged(kind: Kind, folder: Path, expected: Any) -> tuple[str, str]:
    """What became of one damage, and why it is a fault if it is one."""
    try:
        given = kind.read(folder)
    except (ValueError, OSError) as error:
        said = str(error)
        clear = (
            (kind.foreign or str(folder) in said) and len(said) < LONGEST and said.count("\n") < 2
        )
        return ("refused", "") if clear else ("broken", f"{type(error).__name__}: {said[:300]}")
    except Exception as error:
        return "broken", f"{type(error).__name__}: {str(error)[:300]}"
    if kind.begins and equal(given, expected[: len(given)]):
        return "same", ""
    return ("same", "") if kind.own or equal(given, expected) else ("wrong", "")


def damages(kind: Kind, whole: Path) -> Iterator[tuple[str, Damage]]:
    """Each way to damage the folder, with its name."""
    for name in kind.edits:
        yield from _edited(kind, whole, *name.partition(":")[::2])
    if kind.own:
        yield from _tensors(whole / "model.safetensors")
        return
    files = sorted(file.relative_to(whole) for file in whole.rglob("*") if file.is_file())
    for place, name in enumerate(files):
        size = (whole / name).stat().st_size
        other = (whole / files[(place + 1) % len(files)]).read_bytes()
        yield f"{name} cut to half", _writing(name, lambda data: data[: len(data) // 2])
        yield f"{name} emptied", _writing(name, lambda data: b"")
        yield f"{name} longer", _writing(name, lambda data: data + data[-64:])
        yield f"{name} replaced", _writing(name, lambda data, other=other: other)
        for at in sorted({0, size // 2, max(0, size - 2)} if size else ()):
            yield f"{name} flipped at {at}", _writing(name, lambda data, at=at: _flipped(data, at))
        yield f"{name} deleted", lambda folder, name=name: (folder / name).unlink()
    for name in kind.extra:
        yield f"{name} too many", lambda folder, name=name: (folder / name).write_bytes(b"{}")


def _tensors(file: Path) -> Iterator[tuple[str, Damage]]:
    """Each kind of tensor is left out, of another dtype, longer, and full of ones."""
    whole = load_file(file)
    first = {name.rpartition(".")[2]: name for name in sorted(whole, reverse=True)}
    of_form = [name for name in whole if name.endswith(("codes", "scale", "kept", "values"))]
    for name in dict.fromkeys([*first.values(), *of_form]):
        tensor = whole[name]
        other = torch.float32 if tensor.dtype != torch.float32 else torch.uint8
        changes = {
            "left out": {},
            "of another dtype": {name: tensor.to(other)},
            "longer": {name: torch.cat([tensor, tensor[:1]])},
            "ones": {name: torch.ones_like(tensor)},
        }
        for what, change in changes.items():
            tensors = {key: value for key, value in whole.items() if key != name} | change
            yield (
                f"{name} {what}",
                lambda folder, tensors=tensors: save_file(
                    tensors, folder / file.name, {"format": "pt"}
                ),
            )


def _edited(kind: Kind, whole: Path, name: str, inside: str) -> Iterator[tuple[str, Damage]]:
    for path, value in _values(json.loads((whole / name).read_text())):
        if inside and path[0] != inside:
            continue
        for what, new in (("dropped", None), *(("changed", other) for other in _others(value))):
            place = ".".join(map(str, path))
            if kind.but in place:
                continue
            yield (
                f"{name}: {place} {what} {new!r}",
                lambda folder, path=path, what=what, new=new: _edit(folder / name, path, what, new),
            )


def _values(table: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value inside `table`; of a list and of a table of many rows, the first."""
    if isinstance(table, dict):
        for key, value in list(table.items())[:40]:
            yield (*path, key), value
            yield from _values(value, (*path, key))
    elif isinstance(table, list) and table:
        yield (*path, 0), table[0]
        yield from _values(table[0], (*path, 0))


def _others(value: Any) -> list[Any]:
    """Values of other types, and one of the same type."""
    own = {bool: not value, int: 7, float: 0.125, str: "other", list: [], dict: {}}
    return [x for x in ("x", -3, own.get(type(value), 1)) if x != value]


def _edit(file: Path, path: tuple[Any, ...], what: str, new: Any) -> None:
    table = here = json.loads(file.read_text())
    for key in path[:-1]:
        here = here[key]
    if what == "dropped":
        del here[path[-1]]
    else:
        here[path[-1]] = new
    file.write_text(json.dumps(table))


def _writing(name: Path, change: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return damage


def _flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _copied(whole: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    return copy


def equal(ours: Any, theirs: Any) -> bool:
    """Whether two results are equal, bit by bit."""
    if isinstance(ours, np.ndarray):
        return ours.dtype == theirs.dtype and np.array_equal(ours, theirs, equal_nan=True)
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(equal, ours, theirs))
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(equal(ours[k], theirs[k]) for k in ours)
    return bool(ours == theirs)
