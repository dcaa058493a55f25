"""How a tokenizer lays out a text or a pair of texts among its special tokens.

    single   before · first · after
    pair     before · first · between · second · after

The layout is found once, from how the tokenizer encodes a short text. Rows can then be filled and
long texts cut without changing any setting of the tokenizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from tokenizers import Tokenizer

_PROBES = ("a", "the", "1", "。", "▁", "\u0430", "0 a b c")

Piece = tuple[list[int], list[int]]
"""Ids of special tokens, and their types."""


@dataclass(frozen=True)
class Layout:
    """The special tokens around texts.

    Attributes:
        before: Ids and types ahead of the first text.
        between: Ids and types between two texts.
        after: Ids and types at the end.
        types: The type of the first text's tokens and that of the second's.
    """

    before: Piece
    between: Piece
    after: Piece
    types: tuple[int, int]

    @property
    def specials(self) -> int:
        """The number of special tokens."""
        return len(self.before[0]) + len(self.between[0]) + len(self.after[0])

    @property
    def begin(self) -> int:
        """The position of the first text's first token."""
        return len(self.before[0])

    def fill(self, first: list[int], second: list[int]) -> tuple[list[int], list[int]]:
        """Ids and types of a row."""
        one, two = self.types
        ids = [*self.before[0], *first, *self.between[0], *second, *self.after[0]]
        types = [*self.before[1], *[one] * len(first), *self.between[1]]
        return ids, [*types, *[two] * len(second), *self.after[1]]


def layout_of(tokenizer: Tokenizer, *, pair: bool) -> Layout:
    """The layout of single texts or of pairs.

    Raises:
        ValueError: The tokenizer gives no token for any text.
    """
    for probe in _PROBES:
        encoding = tokenizer.encode(probe, probe) if pair else tokenizer.encode(probe)
        owners = encoding.sequence_ids
        if 0 in owners and (1 in owners or not pair):
            return _layout(encoding.ids, encoding.type_ids, owners)
    raise ValueError("tokenizer.json gives no token for ordinary texts; is the file whole?")


def _layout(ids: Sequence[int], types: Sequence[int], owners: Sequence[int | None]) -> Layout:
    runs = [(owner, list(run)) for owner, run in groupby(range(len(ids)), owners.__getitem__)]
    texts = [owner for owner, _ in runs if owner is not None]
    pieces: list[list[int]] = [[], [], []]  # before, between and after the texts
    for number, (owner, run) in enumerate(runs):
        if owner is None:
            seen = sum(other is not None for other, _ in runs[:number])
            pieces[seen if seen < len(texts) else 2] += run
    first, last = (
        next(types[i] for i in range(len(ids)) if owners[i] == t) for t in (0, texts[-1])
    )
    before, between, after = (([ids[i] for i in p], [types[i] for i in p]) for p in pieces)
    return Layout(before, between, after, (first, last))


def room_of_pair(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each text are read; the longer text is cut first, as in transformers.

    Args:
        first: Tokens of the first text.
        second: Tokens of the second text; 0 of a single text.
        room: Tokens that both may have together.
    """
    if first + second <= room:
        return first, second
    small, large = sorted((first, second))
    large = small if small > room else max(small, room - small)
    if small + large > room:
        small, large = room // 2, room - room // 2
    return (small, large) if first <= second else (large, small)
