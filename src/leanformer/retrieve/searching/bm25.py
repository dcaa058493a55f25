"""BM25: texts scored by the terms that they share with a question, the rare ones more.

    score(q, d) = sum over terms t of q of  idf(t) f(t, d) / (f(t, d) + k1 (1 - b + b |d| / m))
    idf(t)      = ln(1 + (N - n(t) + 1/2) / (n(t) + 1/2))

f counts a term in a text, n(t) the texts that hold it, |d| the terms of a text, and m is their mean
over all texts. This is Lucene's form. The library bm25s computes the scores of all pairs of text
and term once, when the index is built, so that a question only adds up columns.

Legend: N text, K answer.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.searching.texts.terms import terms

K1, B = 1.5, 0.75
"""How soon further occurrences of a term add nothing, and how much long texts are held back."""


@dataclass(frozen=True)
class Bm25:
    """An index of texts by their terms, for any number of threads.

    Attributes:
        library: The index of bm25s; None where no text has any term.
        size: Number of texts, N.
        mean_length: Terms per text, on average.
    """

    library: Any
    size: int
    mean_length: float

    @classmethod
    def build(cls, texts: Iterable[str]) -> "Bm25":
        """Index texts.

        Raises:
            ImportError: bm25s is not installed; the message names the command.
        """
        made = import_bm25s().BM25(k1=K1, b=B, method="lucene", backend="numpy")
        vocabulary: dict[str, int] = {}
        ids = [
            [vocabulary.setdefault(term, len(vocabulary)) for term in terms(text)] for text in texts
        ]
        count = sum(map(len, ids))
        if not vocabulary:
            return cls(None, len(ids), 0.0)
        made.index((ids, vocabulary), create_empty_token=False, show_progress=False)
        return cls(made, len(ids), count / len(ids))

    def scores(self, question: str) -> NDArray[np.float32]:
        """The score of each text [N]; 0 where it shares no term with the question."""
        known = {} if self.library is None else self.library.vocab_dict
        ids = [known[term] for term in terms(question) if term in known]
        if not ids:
            return np.zeros(self.size, np.float32)
        found: NDArray[np.float32] = self.library.get_scores_from_ids(ids)
        return found

    def inverse_frequency(self, term: str) -> float:
        """idf of a term, also of one that no text holds."""
        holding, known = 0, {} if self.library is None else self.library.vocab_dict
        if term in known:
            starts = self.library.scores["indptr"]
            holding = int(starts[known[term] + 1] - starts[known[term]])
        return math.log(1 + (self.size - holding + 0.5) / (holding + 0.5))


@dataclass(frozen=True)
class LaterTexts:
    """Texts that came after an index was built, scored with its frequencies and its mean length.

    Attributes:
        counts: How often each term stands in each text.
    """

    counts: tuple[Counter[str], ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "LaterTexts":
        """Count the terms of texts."""
        return cls(tuple(Counter(terms(text)) for text in texts))

    def scores(self, question: str, index: Bm25) -> NDArray[np.float32]:
        """The score of each text, as if it stood in `index` without changing its statistics."""
        asked = [(term, index.inverse_frequency(term)) for term in terms(question)]
        found = [self._score(counts, asked, index.mean_length) for counts in self.counts]
        return np.array(found, np.float32)

    @staticmethod
    def _score(counts: Counter[str], asked: Sequence[tuple[str, float]], mean: float) -> float:
        length = counts.total()
        norm = K1 * (1 - B + B * (length / mean if mean else 1.0))
        return sum(idf * counts[term] / (counts[term] + norm) for term, idf in asked)


def best(scores_N: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Positions of the k highest scores above 0, the best first; of equal ones the first first."""
    above = np.flatnonzero(scores_N > 0)
    if len(above) > k:
        limit = np.partition(scores_N[above], -k)[-k]
        above = above[
            scores_N[above] >= limit
        ]  # all that equal the last one, so that ties are fair
    order = np.argsort(-scores_N[above], kind="stable")[:k]
    return above[order].astype(np.int64)


def import_bm25s() -> Any:
    """The library.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import bm25s
    except ImportError as error:
        raise ImportError(
            "BM25 is computed by bm25s, which is not installed: "
            "pip install 'leanformer[retrieve]'; without it, index with --no-bm25"
        ) from error
    return bm25s
