"""Loads that systems are timed on: strings, made once and given to all systems alike.

    latency_32, latency_128   one text of about 32 and 128 tokens, 16 calls in a row
    latency_each              up to 64 real texts in calls of their own
    throughput                real texts in one call; each system makes its own batches of them
    throughput_unsorted       the same texts in batches of 16 in the caller's order, padded to the
                              longest, as most users run a model

Tokenization is inside the timer: a cut vocabulary, a tokenizer that blocks, a system without
tokens each cost what they cost. `…_one_thread` is the same load answered with one thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

ROWS = 16
CALLS = 16
EACH = 64


class Answerer(Protocol):
    """Anything that answers texts: a system, a predictor, or a rival of the caller's own."""

    def answer(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Sequence[Any]:
        """One output per text, in order."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Calls of a system, each with its texts and pairs.

    Attributes:
        calls: Texts and pairs of each call.
    """

    calls: tuple[tuple[Sequence[str], Sequence[str] | None], ...]

    @property
    def texts(self) -> int:
        """How many texts are answered."""
        return sum(len(texts) for texts, _ in self.calls)

    def run(self, served: Answerer) -> None:
        """Make every call."""
        for texts, pairs in self.calls:
            served.answer(texts, pairs)


def text_load(texts: Sequence[str], pairs: Sequence[str] | None = None) -> Workload:
    """All texts in one call."""
    return Workload(calls=((texts, pairs),))


def each_load(texts: Sequence[str], pairs: Sequence[str] | None = None) -> Workload:
    """Up to 64 of the texts, spread over all of them, each in a call of its own.

    Real texts, and several of them: a cascade answers most in one time and the others in another.
    """
    count = min(EACH, len(texts))
    places = [place * len(texts) // count for place in range(count)]
    return Workload(
        calls=tuple(([texts[n]], None if pairs is None else [pairs[n]]) for n in places)
    )


def single_load(
    length: Callable[[str], int],
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    tokens: int,
) -> Workload:
    """Calls with one text of nearly `tokens` tokens, made of the words of the caller's texts.

    They are timed in a row, as a service answers them: the first call after another system's turn
    finds the caches cold, and says more about the turns than about the system.

    Args:
        length: Function from a text to its tokens; other systems may read it as more or fewer.
        texts: The texts that the words are taken from.
        pairs: Second texts: the calls are pairs then, each text with half of the tokens.
        tokens: Tokens of a call.

    Raises:
        ValueError: There are no texts.
    """
    if not texts:
        raise ValueError("texts: a load is made of the caller's texts; there are none")
    words = " ".join(texts).split()
    room = tokens if pairs is None else tokens // 2
    made = [_filled(length, words, call * room, room) for call in range(CALLS)]
    beside = (
        None if pairs is None else [_filled(length, words, call, room) for call in range(CALLS)]
    )
    calls = [([text], None if beside is None else [beside[i]]) for i, text in enumerate(made)]
    return Workload(calls=tuple(calls))


def _filled(length: Callable[[str], int], words: list[str], start: int, tokens: int) -> str:
    """The longest text of successive words with at most `tokens` tokens."""
    low, high = 1, tokens
    while low < high:
        middle = (low + high + 1) // 2
        count = length(_successive(words, start, middle))
        low, high = (middle, high) if count <= tokens else (low, middle - 1)
    return _successive(words, start, low)


def _successive(words: list[str], start: int, count: int) -> str:
    return " ".join(words[(start + index) % len(words)] for index in range(count))
