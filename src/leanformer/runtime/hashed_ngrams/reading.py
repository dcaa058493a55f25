"""What the kernel is given of single texts, of pairs of texts and of tagged words.

A word that is tagged is a first text by itself, with its case. Its second text holds, separated by
spaces and each marked by a private code point of its distance, the lower-cased words around it, and
the shape of the word and of the words beside it:

    I saw Paris .     ->     Paris     -2i -1saw 0paris +1. -1x 0Xx +1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.hashed_ngrams import classes
from leanformer.runtime.hashed_ngrams.encoding import Joined, join

_WINDOW = 2  # neighbors of a word on either side
_MARK, _SHAPE = 0xE000, 0xE010  # private code points
_UPPER, _LOWER, _DIGIT = "X", "x", "d"


@dataclass(frozen=True)
class Read:
    """Texts for the kernel.

    Attributes:
        texts: The first texts.
        pairs: The second texts, or None.
        classes: The class of each code point.
        shares: Whether n-grams that both texts have are features too.
    """

    texts: Joined
    pairs: Joined | None
    classes: NDArray[np.uint8]
    shares: bool

    def __len__(self) -> int:
        return len(self.texts)

    def part(self, start: int, end: int) -> "Read":
        """The texts from `start` to before `end`."""
        pairs = None if self.pairs is None else self.pairs.part(start, end)
        return Read(self.texts.part(start, end), pairs, self.classes, self.shares)


def read_texts(texts: Sequence[str], pairs: Sequence[str] | None = None) -> Read:
    """Single texts, or pairs."""
    second = None if pairs is None else join(pairs)
    return Read(join(texts), second, classes.TEXT, pairs is not None)


def read_words(sentences: Sequence[Sequence[str]]) -> Read:
    """Every word of sentences, one after the other, with its window."""
    words = [word for sentence in sentences for word in sentence]
    around = [row for sentence in sentences for row in windows(sentence)]
    return Read(join(words, lower=False), join(around, lower=False), classes.TAGGED, False)


def windows(words: Sequence[str]) -> list[str]:
    """The words and shapes around each word, marked by their distance."""
    lowered = ["".join(word.lower().split()) for word in words]
    shapes = [shape(word) for word in words]
    rows: list[str] = []
    for place in range(len(words)):
        near = range(max(0, place - _WINDOW), min(len(words), place + _WINDOW + 1))
        beside = range(max(0, place - 1), min(len(words), place + 2))
        parts: list[Any] = [chr(_MARK + _WINDOW + o - place) + lowered[o] for o in near]
        rows.append(" ".join(parts + [chr(_SHAPE + 1 + o - place) + shapes[o] for o in beside]))
    return rows


def shape(word: str) -> str:
    """The word in X, x and d for capitals, letters and digits; runs of one are shortened."""
    found = ""
    for character in word:
        kind = (
            _UPPER
            if character.isupper()
            else _LOWER
            if character.isalpha()
            else _DIGIT
            if character.isdigit()
            else character
        )
        if not found.endswith(kind) and not kind.isspace():
            found += kind
    return found
