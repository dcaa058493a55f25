"""The phrases whose tokens a domain would save most by reading each of them as one token.

    saved(p) = sum over the uses of p in the texts of (tokens that spell the use now - 1)

Phrases are chosen greedily: the one that saves most, then the one that saves most beside it, and so
on. A choice changes what "now" is: where "how do i" is one token already, "how do i get" saves one
token per use instead of three, and where a phrase lies across the edge of a chosen one it has no
use. Savings only shrink as more phrases are chosen, so a phrase is counted anew only when it comes
first (lazy greedy), and the result is that of counting all of them after each choice.

A phrase is a run of words with one space between two of them, as the tokenizer's normalizer leaves
them; punctuation ends it, so that none crosses the end of a sentence. A word is a run of letters,
digits and marks, with apostrophes and hyphens inside ("don't"). A rare word that several pieces
spell is a phrase of one word.

The tokenizer reads from the left and takes the longest phrase that begins at a word. That is nearly
the reading that was counted, not always: what it saves in truth is measured by tokenizing.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from leanformer.text.texts import repair

# By the library that reads the phrases: its \w has the marks of Hindi and Thai words, Python's not
_WORDS = Split(Regex(r"\w+(?:['\u2019-]\w+)*"), "removed", invert=True)
_END = -1  # in place of a word: here a phrase ends

Ints = NDArray[np.int64]


def find_phrases(
    tokenizer: Any, texts: Iterable[str], number: int, *, max_words: int = 4, min_count: int = 10
) -> list[str]:
    """The phrases that save the most tokens of `texts`, the most saving first.

    Args:
        tokenizer: A fast transformers tokenizer.
        texts: The corpus.
        number: At most so many phrases.
        max_words: Words of the longest phrase; 1 = only words that several pieces spell.
        min_count: How often a phrase must be used in the texts, beside the others that are chosen.

    Returns:
        Their words, joined by spaces, as the tokenizer's normalizer leaves them.
    """
    names, words, spelled = _read(tokenizer.backend_tokenizer, texts)
    corpus = _Corpus(words, spelled)
    found = [
        _Candidate(starts, length, corpus)
        for length, starts in _frequent(words, max_words, min_count)
        if length > 1 or spelled[starts[0]] > 1
    ]
    chosen = corpus.choose(found, number, min_count)
    return [
        " ".join(names[word] for word in words[one.starts[0] :][: one.length]) for one in chosen
    ]


@dataclass
class _Candidate:
    """A phrase that may be chosen: where it stands in the corpus, and its number of words."""

    starts: Ints
    length: int
    corpus: "_Corpus" = field(repr=False)

    def uses(self) -> Ints:
        """Where it can be read now: beginning and end are those of tokens that stand there."""
        spelled = self.corpus.spelled
        free = self.starts[(spelled[self.starts] > 0) & (spelled[self.starts + self.length] > 0)]
        if len(free) < 2 or np.diff(free).min() >= self.length:
            return free
        kept: list[int] = []  # "very very very" has one use of "very very"
        for start in free.tolist():
            if not kept or start >= kept[-1] + self.length:
                kept.append(start)
        return np.array(kept)

    def saved(self) -> int:
        """Tokens that all of its uses would save now."""
        uses = self.uses()
        spelled = sum(int(self.corpus.spelled[uses + word].sum()) for word in range(self.length))
        return spelled - len(uses)


class _Corpus:
    """All words in one row, with the number of tokens that spell each now.

    Attributes:
        spelled: Tokens that begin at each word; 0 inside of a chosen phrase, 1 where a run ends.
        owner: Which chosen phrase begins at each word; -1 = none.
    """

    def __init__(self, words: Ints, spelled: Ints) -> None:
        self.spelled = spelled.copy()
        self.owner = np.full(len(words), _END)

    def choose(
        self, candidates: Sequence[_Candidate], number: int, min_count: int
    ) -> list[_Candidate]:
        """Greedily, until `number` are used often enough or nothing is left to save."""
        heap = [(-one.saved(), place) for place, one in enumerate(candidates)]
        heapq.heapify(heap)
        chosen: list[_Candidate] = []
        used: list[int] = []
        alive = 0
        while heap and alive < number:
            saved, place = heapq.heappop(heap)
            now = candidates[place].saved()
            if now < -saved:
                if now > 0:
                    heapq.heappush(heap, (-now, place))
                continue
            uses = candidates[place].uses()
            if now <= 0 or len(uses) < min_count:
                continue
            whole = uses[:, None] + np.arange(candidates[place].length)
            for owner in self.owner[whole][self.owner[whole] >= 0].tolist():
                used[owner] -= 1  # a phrase that is now a part of this one
                alive -= used[owner] == min_count - 1
            self.owner[whole], self.spelled[whole] = _END, 0
            self.owner[uses], self.spelled[uses] = len(chosen), 1
            chosen.append(candidates[place])
            used.append(len(uses))
            alive += 1
        return [one for one, count in zip(chosen, used, strict=True) if count >= min_count]


def _read(backend: Any, texts: Iterable[str]) -> tuple[list[str], Ints, Ints]:
    """The distinct words; the number of each word of the corpus, with an end after each run; and
    the tokens that spell it. A word that the tokenizer has no piece for is an end.
    """
    numbers: dict[str, int] = {}
    row: list[int] = [_END]
    normalizer = backend.normalizer
    for text in texts:
        whole = repair(text)
        whole = normalizer.normalize_str(whole) if normalizer is not None else whole
        for gap, word in _gaps(whole):
            if gap != " ":
                row.append(_END)
            row.append(numbers.setdefault(word, len(numbers)))
        row.append(_END)
    names = list(numbers)
    # after a space, where byte-level pieces begin with one; WordPiece does not see it
    encodings = backend.encode_batch([f" {name}" for name in names], add_special_tokens=False)
    unknown = getattr(backend.model, "unk_token", None)
    spelled = [
        0 if unknown in one.tokens or _shifts(backend, name) else sum(one.attention_mask)
        for name, one in zip(names, encodings, strict=True)
    ]
    counts, words = np.array([*spelled, 1]), np.array(row)
    words = np.where(counts[words] == 0, _END, words)
    return names, words, counts[words]


def _gaps(text: str) -> Iterator[tuple[str, str]]:
    """Each word, and what stands between it and the word before."""
    end = 0
    for word, (start, after) in _WORDS.pre_tokenize_str(text):
        yield text[end:start], word
        end = after


def _shifts(backend: Any, word: str) -> bool:
    """Whether a normal word is changed by being normalized once more."""
    return backend.normalizer is not None and backend.normalizer.normalize_str(word) != word


def _frequent(words: Ints, max_words: int, min_count: int) -> Iterator[tuple[int, Ints]]:
    """(length, places) of each run of up to `max_words` words that occurs `min_count` times.

    A run is frequent only if both runs that it is one word longer than are, so that few have to be
    counted at each length.
    """
    known, single = words, words
    for length in range(1, max_words + 1):
        if length > 1:
            pair = (known[:-1] >= 0) & (known[1:] >= 0) & (single[length - 1 :] >= 0)
            keys = known[:-1] * (single.max() + 1) + single[length - 1 :]
            known = np.where(pair, keys, _END)
        _, numbers, counts = np.unique(known, return_inverse=True, return_counts=True)
        rare = (counts[numbers] < min_count) | (known < 0)
        known = np.where(rare, _END, numbers)
        places = np.flatnonzero(~rare)
        order = places[np.argsort(known[places], kind="stable")]
        edges = np.flatnonzero(np.diff(known[order])) + 1
        for starts in np.split(order, edges):
            if len(starts):
                yield length, starts
        if length == 1:
            single = known
