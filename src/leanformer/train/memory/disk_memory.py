"""Tensors in a file without a name, which ends with the process, however that ends.

    region = memory.write(tensor)        memory.read(region)

A tensor that is read is a map of the file: its bytes are loaded when they are computed with.
Regions are used again when nobody needs them. Where the file is, `TMPDIR` says: a disk, and not a
file system in memory.
"""

import mmap
import os
import tempfile
import weakref
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from leanformer.core.storage.disk import naming_disk

_PAGE = mmap.ALLOCATIONGRANULARITY


@dataclass(frozen=True, eq=False)
class Region:
    """A tensor in the file: where its bytes begin, and what they are."""

    offset: int
    bytes: int
    dtype: torch.dtype
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Map(mmap.mmap):
    """A map that keeps its region from being used again."""

    region: Region


class DiskMemory:
    """A file that tensors are written to and read from.

    Attributes:
        length: Bytes of the file.
    """

    def __init__(self) -> None:
        self.length = 0
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (ends with this object)
        self._free: dict[int, list[int]] = defaultdict(list)

    def write(self, tensor: Tensor) -> Region:
        """Write a tensor whose elements fill their memory; it keeps their order there.

        Raises:
            DiskFull: There is no room for it.
        """
        flat = tensor.as_strided((tensor.numel(),), (1,)).detach().cpu().view(torch.uint8)
        room = -(-flat.numel() // _PAGE) * _PAGE
        if self._free[room]:
            offset = self._free[room].pop()
        else:
            offset, self.length = self.length, self.length + room
        with naming_disk(Path(tempfile.gettempdir()), room):
            rest = flat.numpy().data
            while rest:
                rest = rest[
                    os.pwrite(self._file.fileno(), rest, offset + flat.numel() - len(rest)) :
                ]
        region = Region(
            offset, flat.numel(), tensor.dtype, tuple(tensor.shape), tuple(tensor.stride())
        )
        weakref.finalize(region, self._free[room].append, offset)
        return region

    def read(self, region: Region) -> Tensor:
        """The tensor of a region, in CPU memory; changes of it are not written."""
        held = _Map(
            self._file.fileno(), region.bytes, access=mmap.ACCESS_COPY, offset=region.offset
        )
        held.region = region
        flat = torch.frombuffer(held, dtype=region.dtype)
        return flat.as_strided(region.size, region.stride)
