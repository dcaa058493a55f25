"""A checkpoint that several ranks write and any number of them reads.

    parts.json                                    every other file with its size and checksum
    state.json                                    as in `checkpoint`
    shard-00003-model-00001-of-00001.safetensors  what rank 2 held, and which part of what it is

torch's distributed checkpoints do the work, in their form of safetensors (their other one is a
pickle). Each rank writes what it holds, and reads what it will hold, whoever held it before. The
folder takes its place only when all have written, so one that was cut short is never found.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save

from leanformer.core.storage.files import new_folder, recover_folder
from leanformer.core.storage.parts import list_parts
from leanformer.train.checkpoints import checkpoint
from leanformer.train.checkpoints.checkpoint import Groups

T = TypeVar("T")
_BETWEEN = "/"  # group and name of a tensor
_GROUPS = "groups"  # their names, since one may hold no tensor

Place = Callable[[str, str, Tensor], Tensor]
"""Where a tensor is read into, by its group, its name and an empty one of its shape."""


class Agreeing(Protocol):
    """Ranks, as far as checkpoints need them."""

    rank: int

    def decide(self, value: T) -> T:
        """What rank 0 found, in every rank."""
        ...

    def gather(self, value: T) -> list[T]:
        """What every rank found, in every rank."""
        ...


def save(folder: Path, groups: Groups, state: dict[str, Any], ranks: Agreeing) -> None:
    """Write a checkpoint in all ranks; the former one is replaced at once.

    Raises:
        OSError: A rank could not write; the former checkpoint is still there.
    """
    flat = {
        f"{group}{_BETWEEN}{name}": tensor.detach().contiguous()
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }
    if ranks.rank:
        temporary = ranks.decide("")
        if temporary:
            _write(flat, Path(temporary), ranks)
        failed = ranks.decide("")
        if failed:
            raise OSError(failed)
        return
    begun = False
    try:
        with new_folder(folder, overwrite=True) as place:
            begun = bool(ranks.decide(str(place)))
            if failed := _write(flat, place, ranks):
                raise OSError(f"{folder}: the checkpoint could not be written ({failed})")
            (place / "state.json").write_text(json.dumps({**state, _GROUPS: sorted(groups)}))
            list_parts(place)
    except Exception as error:  # the others wait to be told
        if not begun:
            ranks.decide("")
        ranks.decide(str(error) or type(error).__name__)
        raise
    ranks.decide("")


def _write(flat: dict[str, Tensor], folder: Path, ranks: Agreeing) -> str:
    """Write what this rank holds; what went wrong in any of them, "" where nothing did."""
    failed = ""
    try:
        writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
        dcp_save(flat, storage_writer=writer)
    except CheckpointException as error:  # of any rank; it is no Exception
        failed = _failures(error)
    except Exception as error:
        failed = str(error) or type(error).__name__
    said = [one for one in ranks.gather(failed) if one]
    return said[0] if said else ""


def _failures(error: CheckpointException) -> str:
    """What went wrong in which rank."""
    return ", ".join(f"rank {rank}: {one[0]}" for rank, one in sorted(error.failures.items()))


def is_sharded(folder: Path) -> bool:
    """Whether several ranks wrote the checkpoint in `folder`."""
    return any(folder.glob("shard-*.safetensors"))


def load(folder: Path, place: Place, ranks: Agreeing) -> tuple[Groups, dict[str, Any]] | None:
    """Read a checkpoint in all ranks, whoever wrote it; None where there is none.

    Args:
        folder: Where it is.
        place: Where a tensor is read into: a rank may hold a part of it.
        ranks: The ranks that read.

    Raises:
        ValueError: It is broken; all ranks say so.
        OSError: It cannot be read.
    """
    there, failed = False, None
    if ranks.rank == 0:
        try:
            there = checkpoint.state_of(folder) is not None
        except (ValueError, OSError) as error:
            failed = isinstance(error, OSError), str(error)
    there, failed = ranks.decide((there, failed))
    if failed is not None:
        raise (OSError if failed[0] else ValueError)(failed[1])
    if not there:
        return None
    if not is_sharded(folder):
        return checkpoint.load(folder)
    state = checkpoint.state_of(folder, check=False) or {}
    return _read(folder, state, place, alone=False), state


def load_whole(folder: Path) -> tuple[Groups, dict[str, Any]] | None:
    """Read a checkpoint in one process, in CPU memory, whoever wrote it; None where there is none.

    Other ranks of its group, if it is in one, need not call it.

    Raises:
        ValueError: It is broken.
    """
    recover_folder(folder)
    if not is_sharded(folder):
        return checkpoint.load(folder)
    state = checkpoint.state_of(folder)
    assert state is not None, "a folder with shards is not empty"
    return _read(folder, state, lambda group, name, empty: empty, alone=True), state


def _read(folder: Path, state: dict[str, Any], place: Place, *, alone: bool) -> Groups:
    reader = HuggingFaceStorageReader(str(folder))
    held = reader.read_metadata().state_dict_metadata
    groups: Groups = {group: {} for group in state[_GROUPS]}
    flat: dict[str, Tensor] = {}
    for key, about in held.items():
        group, name = key.split(_BETWEEN, 1)
        empty = torch.empty(about.size, dtype=about.properties.dtype)  # type: ignore[union-attr]
        flat[key] = groups[group][name] = place(group, name, empty)
    try:
        dcp_load(flat, storage_reader=reader, no_dist=alone)
    except CheckpointException as error:
        raise ValueError(f"{folder}: broken checkpoint ({_failures(error)})") from error
    return groups
