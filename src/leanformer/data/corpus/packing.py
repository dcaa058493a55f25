"""Which pieces of documents stand in which row: planned once, kept on the disk as arrays.

    pieces    start (a token of the split), length, last (1 where a document ends)
    rows      end (of its pieces), tokens (special ones included), targets

A document that fits into a row is never split; a longer one is split into pieces of a row each.
Packed rows are filled by best fit (Ding et al. 2024, arXiv:2404.10830) within windows of pieces, so
that memory does not grow with the corpus; a window leaves one row half empty at most. Rows without
packing hold one piece each.

A target is a token that can be predicted: for causal models one whose next token is of the same
document, for masked ones a token of the text.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leanformer.core.storage.files import new_folder, recover_folder
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.parts import check_parts, list_parts
from leanformer.data.corpus.token_file import TokenFile
from leanformer.data.packing import best_fit

Packing = Literal["packed", "grouped"]
"""Rows of several documents, or of one each, which are then grouped by length."""
PIECE = np.dtype([("start", "<i8"), ("length", "<i4"), ("last", "<i4")])
ROW = np.dtype([("end", "<i8"), ("tokens", "<i4"), ("targets", "<i4")])
_WINDOW = 2**15  # pieces that are fitted at once
_FACTS = "plan.json"
_ANEW = "remove the folder and prepare the corpus again"


@dataclass(frozen=True)
class RowForm:
    """The form of rows.

    Attributes:
        packing: Whether documents share rows.
        max_length: Tokens of a row at most, special ones included.
        specials: Special tokens around each piece.
        causal: Whether the next token is predicted.
    """

    packing: Packing
    max_length: int
    specials: int
    causal: bool

    @property
    def room(self) -> int:
        """Tokens of a document that a row has room for.

        Raises:
            ValueError: None, or so few that nothing can be predicted.
        """
        least = self.specials + (2 if self.causal else 1)
        if self.max_length < least:
            raise ValueError(
                f"max_length: {self.max_length} is too short to predict a token; {least} or more"
            )
        return self.max_length - self.specials


@dataclass(frozen=True)
class Plan:
    """The rows of a split.

    Attributes:
        form: Their form.
        pieces: All pieces, those of a row one after another.
        rows: All rows.
        tokens: Tokens of all rows, special ones included.
        targets: Targets of all rows.
        longest: Tokens of the longest row.
        split: Documents that are longer than a row.
    """

    form: RowForm
    pieces: NDArray[Any]
    rows: NDArray[Any]
    tokens: int
    targets: int
    longest: int
    split: int


def plan_rows(tokens: TokenFile, form: RowForm, folder: Path, identity: dict[str, Any]) -> Plan:
    """The rows of a split; the plan in `folder` is used again where it is of these.

    Args:
        tokens: The documents.
        form: The form of rows.
        folder: Where the plan is kept.
        identity: What tells the documents from others.

    Raises:
        ValueError: Rows are too short to predict a token, or the plan in `folder` is damaged.
    """
    room = form.room
    recover_folder(folder)
    asked = {"identity": identity, "form": asdict(form)}
    if folder.is_dir():
        check_parts(folder, _ANEW, checksums=False)
        if read_json(folder / _FACTS)["asked"] == asked:
            return _opened(folder, form)
    with new_folder(folder, overwrite=True) as made:
        facts = _write(tokens, form, room, made)
        (made / _FACTS).write_text(json.dumps({"asked": asked, "facts": facts}))
        list_parts(made)
    return _opened(folder, form)


def check_plan(folder: Path) -> None:
    """Compare the files of a plan with their checksums.

    Raises:
        ValueError: One is missing or altered.
    """
    check_parts(folder, _ANEW)


def pieces_of(tokens: TokenFile, shard: int, room: int) -> Iterator[NDArray[Any]]:
    """The documents of a shard in pieces of at most `room` tokens, in windows of `PIECE` arrays."""
    ends, begin = tokens.ends(shard), int(tokens.begins[shard])
    for first in range(0, len(ends), _WINDOW):
        stops = np.asarray(ends[first : first + _WINDOW])
        starts = np.concatenate([[ends[first - 1] if first else 0], stops[:-1]])
        counts = -(-(stops - starts) // room)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        found = np.empty(len(within), PIECE)
        own = np.repeat(starts, counts) + within * room
        found["start"] = own + begin
        found["length"] = np.minimum(room, np.repeat(stops, counts) - own)
        found["last"] = own + found["length"] == np.repeat(stops, counts)
        yield found


def _write(tokens: TokenFile, form: RowForm, room: int, folder: Path) -> dict[str, int]:
    """Write pieces and rows window by window; what they hold in all."""
    end = targets = total = longest = split = 0
    with (folder / "pieces").open("wb") as pieces, (folder / "rows").open("wb") as rows:
        for shard in range(tokens.shards):
            for window in pieces_of(tokens, shard, room):
                split += int(((window["last"] == 1) & _continues(window)).sum())
                for found, sizes in _fitted(window, form):
                    made = np.empty(len(sizes), ROW)
                    stops = np.cumsum(sizes)
                    made["end"] = stops + end
                    made["tokens"] = _sums(found["length"], stops) + form.specials * sizes
                    targeted = found["length"] - found["last"] if form.causal else found["length"]
                    made["targets"] = _sums(targeted, stops)
                    pieces.write(found.tobytes())
                    rows.write(made.tobytes())
                    end += len(found)
                    total += int(made["tokens"].sum())
                    targets += int(made["targets"].sum())
                    longest = max(longest, int(made["tokens"].max()))
    return {"tokens": total, "targets": targets, "longest": longest, "split": split}


def _continues(window: NDArray[Any]) -> NDArray[Any]:
    """True at each piece before which a piece of the same document stands."""
    return np.concatenate([[False], window["last"][:-1] == 0]) & (len(window) > 0)


def _fitted(window: NDArray[Any], form: RowForm) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """The pieces of a window in the order of their rows, and how many each row has."""
    for first in range(0, len(window), _WINDOW):  # long documents make many pieces
        part = window[first : first + _WINDOW]
        if form.packing == "grouped":
            yield part, np.ones(len(part), np.int64)
            continue
        rows = best_fit((part["length"] + form.specials).tolist(), form.max_length)
        order = np.array([piece for row in rows for piece in row], np.int64)
        yield part[order], np.array([len(row) for row in rows], np.int64)


def _sums(values: NDArray[Any], stops: NDArray[Any]) -> NDArray[Any]:
    """The sum of the values of each row, whose last one ends before its stop."""
    total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return np.diff(total[stops], prepend=0)


def _opened(folder: Path, form: RowForm) -> Plan:
    facts = read_json(folder / _FACTS)["facts"]
    pieces, rows = (
        np.asarray(np.memmap(folder / name, dtype, mode="r"))
        for name, dtype in (("pieces", PIECE), ("rows", ROW))
    )
    return Plan(form, pieces, rows, **facts)
