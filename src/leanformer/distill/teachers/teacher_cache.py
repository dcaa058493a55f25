"""A cache of a teacher's outputs on disk: the teacher reads each text once, not once per epoch.

Logits and hidden states of all texts are stored in the teacher's precision, in flat files that are
mapped into memory: two bytes per number in bf16, four in fp32. A student gets the same numbers,
whether they were just computed or are read. Rows are filled as texts appear in batches; an
interrupted training, or the next student of the same teacher, continues with the rows that are
there.

    outputs.json      a hash of the teacher, the texts and their token ids; the precision
    logits.bin        [N, C], or [sum T, C] where each token has an output
    hidden.bin        [sum T, L+1, D], where objectives compare hidden states
    checksums.bin     [N] a checksum of each text's rows; 0 = they are not filled

Rows are compared with their checksum when they are first read. The teacher reads a text again whose
rows were damaged or lost, and a warning says so once.

Legend: N text, B batch, T token, L layer, D hidden width, C output.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leanformer.core.machine.device import move
from leanformer.core.storage.files import allocate_file, check_space, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.data import Batch, Encoded
from leanformer.distill.objective import Outputs
from leanformer.distill.teachers.translation import Translation
from leanformer.models.embedding import embedding_of
from leanformer.tasks import kind_named

_log = logging.getLogger(__name__)
_FLUSH = 256  # batches between two writes to disk
_FORMAT = 2  # 1 had no checksums
_FILES = ("logits.bin", "hidden.bin", "checksums.bin", "filled.bin")  # the last one of format 1


class TeacherCache:
    """The outputs of one teacher on one set of texts.

    Args:
        folder: Folder of the files; made if missing.
        key: Hash of teacher and texts, from `key_of`.
        lengths: Tokens of each text.
        width: Outputs of the head, C.
        per_token: Whether each token has an output.
        hidden: Hidden states per token and their width, (L+1, D); (0, 0) = they are not cached.
        dtype: What the teacher answers in, and what is stored.

    Raises:
        ValueError: `folder` is the cache of another teacher, other texts, other objectives or
            another precision, or its outputs.json is damaged.
        OSError: The disk has too little space, which is reserved at once (`DiskFull`).
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        lengths: Sequence[int],
        *,
        width: int,
        per_token: bool,
        hidden: tuple[int, int],
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        self.dtype, self.stored = dtype, np.dtype(f"int{8 * dtype.itemsize}")
        self.folder, self.per_token, self.levels = folder, per_token, hidden[0]
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        rows = int(self.starts[-1]) if per_token else len(lengths)
        shapes = {"logits": (rows, width), "hidden": (int(self.starts[-1]), *hidden)}
        self._claim(key, shapes)
        self.logits = _mapped(folder / "logits.bin", shapes["logits"], self.stored)
        if self.levels:
            self.hidden = _mapped(folder / "hidden.bin", shapes["hidden"], self.stored)
        self.marks = _mapped(folder / "checksums.bin", (len(lengths),), np.uint64)
        self.checksums = np.array(self.marks)
        self.checked = np.zeros(len(lengths), dtype=bool)
        self.damaged = 0
        self.unflushed = 0

    def read(self, batch: Batch) -> Outputs | None:
        """The cached outputs for `batch`, on its device; None unless all its texts are cached."""
        whole = [self._whole(index) for index in batch.index]  # all, so that damage is said once
        if not all(whole):
            return None
        keep_BT = batch.inputs["attention_mask"].bool()
        width = keep_BT.shape[1]
        logits = [self.logits[self._logit_rows(index)] for index in batch.index]
        hidden: tuple[Tensor, ...] = ()
        if self.levels:
            rows = [self.hidden[self._token_rows(index)] for index in batch.index]
            states = torch.stack([_padded(row, width) for row in rows]).view(self.dtype)
            hidden = move(states, keep_BT.device).unbind(2)
        if self.per_token:
            said = torch.stack([_padded(row, width) for row in logits]).view(self.dtype)
        else:
            said = torch.from_numpy(np.concatenate(logits)).view(self.dtype)
        return Outputs(move(said, keep_BT.device), hidden, keep_BT)

    def write(self, batch: Batch, said: Outputs) -> Outputs:
        """Cache the outputs for `batch`, padded on the right; returns them as `read` does."""
        states = torch.stack(said.hidden, dim=2) if self.levels else None
        for place, index in enumerate(batch.index):
            rows = self._token_rows(index)
            real = rows.stop - rows.start
            logits = said.logits[place, :real] if self.per_token else said.logits[place : place + 1]
            self.logits[self._logit_rows(index)] = self._bits(logits)
            if states is not None:
                self.hidden[rows] = self._bits(states[place, :real])
            self.checksums[index] = self._checksum(index)
            self.checked[index] = True
        self.unflushed += 1
        if self.unflushed >= _FLUSH or self.checksums.all():
            self.flush()
        kept = self.read(batch)
        assert kept is not None
        return kept

    def flush(self) -> None:
        """Write to disk: first the rows, then their checksums."""
        self.logits.flush()
        if self.levels:
            self.hidden.flush()
        self.marks[:] = self.checksums
        self.marks.flush()
        self.unflushed = 0

    def _whole(self, index: int) -> bool:
        """Whether the rows of a text are filled and as they were written."""
        if self.checksums[index] and not self.checked[index]:
            if self.checksums[index] == self._checksum(index):
                self.checked[index] = True
            else:
                self.checksums[index] = 0
                self._warn()
        return bool(self.checksums[index])

    def _warn(self) -> None:
        self.damaged += 1
        if self.damaged == 1:
            _log.warning(
                "%s: outputs of the teacher were damaged or lost; the teacher reads their texts "
                "again",
                self.folder,
            )

    def _checksum(self, index: int) -> np.uint64:
        """Of a text's rows and its number; never 0."""
        seen = hashlib.blake2b(str(index).encode(), digest_size=8)
        seen.update(self.logits[self._logit_rows(index)].tobytes())
        if self.levels:
            seen.update(self.hidden[self._token_rows(index)].tobytes())
        return np.uint64(int.from_bytes(seen.digest(), "little") or 1)

    def _token_rows(self, index: int) -> slice:
        return slice(int(self.starts[index]), int(self.starts[index + 1]))

    def _logit_rows(self, index: int) -> slice:
        return self._token_rows(index) if self.per_token else slice(index, index + 1)

    def _bits(self, values: Tensor) -> NDArray[Any]:
        """`values` as integers of the same bits, which is what numpy can hold of bf16."""
        exact = values.to("cpu", self.dtype).contiguous()
        bits: NDArray[Any] = exact.view(getattr(torch, self.stored.name)).numpy()
        return bits

    def _claim(self, key: str, shapes: dict[str, tuple[int, ...]]) -> None:
        """Begin the cache in the folder, or check that it is the same one."""
        dtype = str(self.dtype).removeprefix("torch.")
        about = {"key": key, "dtype": dtype, **{n: list(shape) for n, shape in shapes.items()}}
        kept = self.folder / "outputs.json"
        if kept.is_file():
            found = read_json(kept)
            form = found.pop("format", 1)
            if found != about or form not in (1, _FORMAT):
                raise ValueError(
                    f"{self.folder} holds the outputs of another teacher, of other texts, of other "
                    f"objectives or in another precision than {dtype}, or is damaged; remove it, "
                    "or name another folder"
                )
            if form == _FORMAT:
                return
            _log.warning("%s has no checksums and is begun anew", self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        numbers = sum(int(np.prod(shape)) for shape in shapes.values())
        check_space(self.folder, self.dtype.itemsize * numbers)
        for name in _FILES:
            (self.folder / name).unlink(missing_ok=True)
        write_text(kept, json.dumps({"format": _FORMAT, **about}))


def key_of(teacher: nn.Module, encoded: Encoded, translate: Translation | None, kind: str) -> str:
    """A hash of the teacher's weights and of its inputs: equal keys mean equal outputs."""
    seen = hashlib.sha256(kind.encode())
    if kind_named(kind).output == "vector":  # other pooling gives other vectors
        members: Any = getattr(teacher, "models", [teacher])
        seen.update(repr([embedding_of(member).pooling for member in members]).encode())
    for name, value in sorted(teacher.state_dict().items()):
        seen.update(f"{name}{tuple(value.shape)}".encode())
        seen.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    for row in encoded.rows:
        for name, ids in sorted(row.items()):
            seen.update(f"{name}{len(ids)}".encode() + np.asarray(ids, np.int32).tobytes())
    if translate is not None:
        seen.update(json.dumps(translate.described()).encode())
    return seen.hexdigest()


def _mapped(file: Path, shape: tuple[int, ...], dtype: Any) -> Any:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not file.is_file() or file.stat().st_size < size:
        allocate_file(file, size)  # a full disk would end the process with SIGBUS
    return np.memmap(file, dtype=dtype, mode="r+", shape=shape)


def _padded(rows: NDArray[Any], width: int) -> Tensor:
    """[T, …] with zeros up to `width` tokens."""
    whole = np.zeros((width, *rows.shape[1:]), rows.dtype)
    whole[: len(rows)] = rows
    return torch.from_numpy(whole)
