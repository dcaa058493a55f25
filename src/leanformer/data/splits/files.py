"""The rows of each split, from a folder, one file, the hub, or what is bundled.

    folder/train.tsv                            one file per split, also in folder/data/
    folder/train-00000-of-00002.parquet         shards, as the hub stores them; all must be there
    folder/train/…                              every file of a folder that is named after a split
    file.tsv                                    one file: all of it is train
    owner/name, owner/name:config               the hub
    bundled:intents                             the hand-written intents of the demo

Names count in any case. The development split may be called dev, valid, validation or val.
"""

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

from leanformer.data.formats.table import FORMATS, format_of, read_rows
from leanformer.data.rows import Row
from leanformer.data.splits.hub import hub_splits
from leanformer.data.splits.names import is_split, split_called

_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?")


def read_splits(path: str, files: Mapping[str, list[Path]]) -> dict[str, list[Row]]:
    """The rows of each split; there is always one called train.

    Args:
        path: What was asked for.
        files: What `split_files` found there.

    Raises:
        FileNotFoundError: There is no such file, folder or data set.
        ValueError: A split is there twice or in part, or a file cannot be read.
    """
    if files:
        return {
            split: [row for file in own for row in read_rows(file)] for split, own in files.items()
        }
    name, _, config = path.partition(":")
    if _local(name) is not None:
        raise ValueError(
            f"{path}: {name} is here, and configurations are of data sets on the hub; name the "
            "file or folder of one"
        )
    place = Path(path).expanduser()
    if format_of(place) or path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise FileNotFoundError(f"{path}: no such file or folder")
    return hub_splits(name, config or None)


def split_files(path: str) -> dict[str, list[Path]]:
    """The files of each split, in the order in which they are read; {} for a name on the hub.

    Raises:
        FileNotFoundError: A folder has no training rows.
        ValueError: A split is there twice or in part.
    """
    place = _local(path)
    if place is None:
        return {}
    if place.is_file():
        return {"train": [place]}
    found = _grouped(place)
    for groups in found.values():
        if len(groups) > 1:
            first, second = sorted(groups)[:2]
            raise ValueError(f"{place}: both {first} and {second}; keep one of them")
    chosen = {split: _checked(*next(iter(groups.items()))) for split, groups in found.items()}
    if "train" not in chosen:
        raise FileNotFoundError(f"{place}: {_without_train(place)}")
    return chosen


def _local(path: str) -> Path | None:
    """The file or folder that is meant; None for what may be on the hub."""
    if path.startswith("bundled:"):
        return _bundled(path.removeprefix("bundled:"))
    place = Path(path).expanduser()
    return place if place.exists() else None


def _bundled(name: str) -> Path:
    folder = Path(str(resources.files("leanformer.data"))) / "bundled" / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"bundled:{name}: there is no such data set; there is bundled:intents"
        )
    return folder


def _grouped(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Split -> what it is found as, e.g. "train.tsv" or "data/train-*.parquet" -> its files."""
    names = dict[str, list[tuple[str, list[Path]]]]()
    for place in (folder, folder / "data"):
        for entry in sorted(place.iterdir()) if place.is_dir() else ():
            name, form = (entry.name, "/") if entry.is_dir() else _parted(entry)
            if not is_split(name):
                continue
            inside = sorted(entry.iterdir()) if entry.is_dir() else [entry]
            own = [file for file in inside if file.is_file() and format_of(file)]
            if own:
                shown = f"{entry.parent.relative_to(folder) / name}{form}"
                names.setdefault(name, []).append((shown, own))
    found = dict[str, dict[str, list[Path]]]()
    for split, name in split_called(names, str(folder)):
        for shown, own in names[name]:
            found.setdefault(split, {}).setdefault(shown, []).extend(own)
    return found


def _parted(file: Path) -> tuple[str, str]:
    """The name of a split and what follows it: ("train", ".tsv.gz"), ("train", "-*.parquet")."""
    packed = ".gz" if file.name.lower().endswith(".gz") else ""
    suffix = f"{format_of(file)}{packed}"
    stem = file.name[: -len(suffix)] if suffix else file.name
    shard = _SHARD.fullmatch(stem)
    return (shard[1], f"-*{suffix}") if shard else (stem, suffix)


def _checked(shown: str, own: list[Path]) -> list[Path]:
    """The files of a split, of one format and none missing.

    Raises:
        ValueError: They are of several formats, or a shard is missing.
    """
    formats = sorted({format_of(file) for file in own})
    if len(formats) > 1:
        raise ValueError(f"{own[0].parent}: files of {' and '.join(formats)}; keep those of one")
    shards = [_SHARD.search(file.name) for file in own]
    there = {(shard[2], shard[3]) for shard in shards if shard is not None}
    for total in {total for _, total in there}:
        for number in range(int(total)):
            if (f"{number:05}", total) not in there:
                raise ValueError(
                    f"{own[0].parent}: {shown} lacks part {number:05} of {total}; fetch it again"
                )
    return own


def _without_train(folder: Path) -> str:
    """What a folder without training rows has, and what to do."""
    kinds = ", ".join(one for one in FORMATS if one != ".tsv")
    lacking = f"no train.tsv ({kinds}, also .gz) in it"
    inner = [one.name for one in sorted(folder.iterdir()) if one.is_dir() and _has_train(one)]
    if inner:
        return f"{lacking}, but in its folders {_shown(inner)}: name one of them"
    other = [one.name for one in sorted(folder.iterdir()) if one.is_file() and format_of(one)]
    return f"{lacking}, but {_shown(other)}: name a file, or call one train" if other else lacking


def _has_train(folder: Path) -> bool:
    try:
        return "train" in _grouped(folder)
    except (ValueError, OSError):
        return False  # it is only a suggestion


def _shown(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
