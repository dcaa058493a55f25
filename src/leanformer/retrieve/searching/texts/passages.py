"""Cut long texts into passages: along paragraphs and sentences, with a limited length and overlap.

A bi-encoder reads only the first few hundred tokens of a text, and one vector says little about
many subjects. A passage is at most `size` words or tokens long and ends, where it can, at the end
of a paragraph, otherwise of a sentence, in the second half of the room that it has. The next one
begins at most `overlap` units earlier, at the beginning of a sentence, so that what stands at a cut
can be found from both sides.

    passage.text == text[passage.start : passage.end]

A word is a run of characters without spaces, of at most 48; in scripts without spaces between words
(Chinese, Japanese, Korean, Thai) each character counts as one.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from leanformer.core.ranges import Count, Index, ranged
from leanformer.text.scripts import HANGUL, UNSPACED, characters_of

_SINGLE = characters_of(*UNSPACED, HANGUL)
_WORD = re.compile(rf"[{_SINGLE}]|[^\s{_SINGLE}]{{1,48}}")
_PARAGRAPH = re.compile(r"\n[^\S\n]*\r?\n")
_SENTENCE = re.compile(
    r"(?:[.!?\u2026\u061f\u06d4\u0964][\"')\]\u201d\u2019\u00bb]*|[\u3002\uff01\uff1f][\u300d\u300f\uff09]*)$"
)
_ABBREVIATED = re.compile(
    r"^\W*(?:\w|[Mm]rs?|Ms|Drs?|Prof|St|vs|etc|cf|al|Fig|fig|No|e\.g|i\.e)\.$"
)

CountUnits = Callable[[Sequence[str]], Sequence[int]]
"""The number of units, such as tokens, in each of several words."""


class Passage(NamedTuple):
    """A part of a text.

    Attributes:
        text: Its characters, without white space at its ends.
        start: Position of its first character in the text, from 0.
        end: Position after its last character.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
@ranged
class Cutting:
    """How texts are cut into passages.

    Raises:
        ValueError: `overlap` leaves less than half of `size` for what is new, or a number is out of
            its range.
    """

    size: Count = 200
    """Units of the longest passage."""
    overlap: Index = 40
    """Units that a passage shares with the one before, at most."""
    unit: Literal["words", "tokens"] = "words"
    """What is counted: words, or the tokens of the encoder."""

    def __post_init__(self) -> None:
        if self.unit not in ("words", "tokens"):
            raise ValueError(f"unit: {self.unit!r} is not words or tokens")
        if self.overlap > self.size // 2:
            raise ValueError(
                f"overlap: {self.overlap} is more than half of size, {self.size}; passages would "
                "repeat each other more than they add"
            )

    def cut(self, text: str, count: CountUnits | None = None) -> list[Passage]:
        """The passages of `text`, in order; none where it is blank.

        Args:
            text: The text.
            count: Units of each word; required where `unit` is "tokens".

        Returns:
            Passages of at most `size` units; a single word that has more is a passage of its own.
        """
        assert (count is None) == (self.unit == "words"), "tokens need a tokenizer"
        words = [found.span() for found in _WORD.finditer(text)]
        costs = [1] * len(words) if count is None else count([text[a:b] for a, b in words])
        before = [0, *accumulate(costs)]  # units before each word
        after = [*words[1:], (len(text), len(text))]
        ends = [_end(text, *pair) for pair in zip(words, after[: len(words)], strict=True)]
        passages: list[Passage] = []
        first = 0
        while first < len(words):
            stop = self._stop(before, ends, first)
            start, end = words[first][0], words[stop - 1][1]
            passages.append(Passage(text[start:end], start, end))
            if stop == len(words):
                break
            first = self._next(before, ends, first, stop)
        return passages

    def _stop(self, before: list[int], ends: list[int], first: int) -> int:
        """The word after the last one of the passage that begins with the word `first`."""
        room = bisect_right(before, before[first] + self.size) - 1
        room = max(room, first + 1)
        if room == len(ends):
            return room
        half = bisect_right(before, before[first] + self.size // 2)
        for strength in (2, 1):
            for last in range(room - 1, half - 2, -1):
                if last >= first and ends[last] >= strength:
                    return last + 1
        return room

    def _next(self, before: list[int], ends: list[int], first: int, stop: int) -> int:
        """The word with which the passage after that of words `first` to `stop` begins."""
        if ends[stop - 1] == 2:
            return stop  # a new paragraph needs nothing of the one before
        earliest = bisect_right(before, before[stop] - self.overlap - 1)
        fits = bisect_left(before, before[stop + 1] - self.size)  # and the word behind the cut too
        earliest = min(max(earliest, fits, first + 1), stop)
        begins = (word for word in range(earliest, stop) if ends[word - 1])
        return next(begins, stop if ends[stop - 1] else earliest)


def _end(text: str, word: tuple[int, int], after: tuple[int, int]) -> int:
    """2 where a paragraph ends with `word`, 1 where a sentence does, 0 elsewhere."""
    between = text[word[1] : after[0]]
    if _PARAGRAPH.search(between):
        return 2
    last = text[word[0] : word[1]]
    if not _SENTENCE.search(last) or _ABBREVIATED.match(last):
        return 0
    following = text[after[0] : after[0] + 1]
    spaced = bool(between) or last[-1] > "\u2fff"
    return int(spaced and not following.islower())
