"""Packed texts: several in one row, so that no row is padding; no text sees another.

    row        a b c $ | d e $ | f g $          $ the end token, | where a text begins
    position   0 1 2 3 | 0 1 2 | 0 1 2          transformers makes the block-diagonal mask of it
    label      b c $ - | e $ - | g $ -          - none: the next text is not predicted

A text that fits into a row is never split, so it is read as if it stood alone (best fit, Ding et
al. 2024, arXiv:2404.10830). A longer one is split into rows of its own, since packing has a place
for every token: the first token of a piece is predicted by the last of the piece before. Every
token is read once and, but for the first of each text, predicted once.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leanformer.data.encode import Encoded, next_tokens
from leanformer.text import reader_of
from leanformer.text.texts import repair


@dataclass(frozen=True)
class Piece:
    """A text, or a part of a long one: as much as fits into a row.

    Attributes:
        ids: Its tokens.
        labels: The next token of each; IGNORE at the end of the text.
    """

    ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Packed:
    """Packed texts.

    Attributes:
        encoded: The rows.
        texts: How many texts they hold.
        split: How many of these are longer than a row.
    """

    encoded: Encoded
    texts: int
    split: int


def documents(texts: Sequence[str], tokenizer: Any) -> list[list[int]]:
    """The token ids of each text, whole and with the end token after it.

    Raises:
        ValueError: The tokenizer has no end token.
    """
    end = end_token(tokenizer)
    readings = reader_of(tokenizer, None).read([repair(text) for text in texts], parallel=True)
    return [ended(one.ids, end) for one in readings]


def end_token(tokenizer: Any) -> int:
    """The id of the token that ends a text.

    Raises:
        ValueError: The tokenizer has none.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError(
            f"{type(tokenizer).__name__} has no end token, by which a model learns where a text "
            "ends; name one as eos_token in tokenizer_config.json"
        )
    return int(tokenizer.eos_token_id)


def ended(ids: list[int], end: int) -> list[int]:
    """`ids` with the end token after them, once."""
    return ids if ids[-1:] == [end] else [*ids, end]


def pack(found: Sequence[list[int]], kind: str, length: int, padding: int) -> Packed:
    """Documents in rows of at most `length` tokens.

    Args:
        found: Token ids of each document.
        kind: Kind of task.
        length: Tokens of a row.
        padding: Id of the padding token.

    Raises:
        ValueError: `length` is below 2, so that nothing could be predicted in a row.
    """
    if length < 2:
        raise ValueError(f"max_length: {length} is too short to predict a token; 2 or more")
    pieces = [piece for ids in found for piece in split(ids, length)]
    chosen = best_fit([len(piece.ids) for piece in pieces], length)
    rows = [[pieces[index] for index in row] for row in chosen]
    encoded = Encoded(
        rows=[_row(row) for row in rows],
        labels=[[label for piece in row for label in piece.labels] for row in rows],
        padding=int(padding == 0),  # any other id: transformers warns of padding without a mask
        truncated=0,
        kind=kind,
    )
    return Packed(encoded, len(found), sum(len(ids) > length for ids in found))


def cut(found: Sequence[list[int]], kind: str, length: int, padding: int) -> Encoded:
    """Documents one in a row, cut to `length` tokens; what is cut off is not predicted."""
    rows = [ids[:length] for ids in found]
    return Encoded(
        rows=[{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in rows],
        labels=[next_tokens(ids) for ids in rows],
        padding=padding,
        truncated=sum(len(ids) > length for ids in found),
        kind=kind,
    )


def split(ids: list[int], length: int) -> list[Piece]:
    """A document in pieces of at most `length` tokens, each token in one."""
    labels = next_tokens(ids)
    starts = range(0, len(ids), length)
    return [Piece(ids[at : at + length], labels[at : at + length]) for at in starts]


def best_fit(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Which pieces share a row: each, the longest first, goes where the least room is left.

    Args:
        lengths: Of the pieces, at most `room` each.
        room: Tokens of a row.

    Returns:
        The pieces of each row.
    """
    rows: list[list[int]] = []
    open_rows: dict[int, list[int]] = {}  # room that is left -> rows
    rooms: list[int] = []  # its keys, sorted
    for piece in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        place = bisect_left(rooms, lengths[piece])
        if place == len(rooms):
            row, left = len(rows), room
            rows.append([])
        else:
            left = rooms[place]
            row = open_rows[left].pop()
            if not open_rows[left]:
                del open_rows[left], rooms[place]
        rows[row].append(piece)
        left -= lengths[piece]
        if left not in open_rows:
            open_rows[left] = []
            insort(rooms, left)
        open_rows[left].append(row)
    return rows


def _row(pieces: list[Piece]) -> dict[str, list[int]]:
    ids = [token for piece in pieces for token in piece.ids]
    positions = [place for piece in pieces for place in range(len(piece.ids))]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "position_ids": positions}
