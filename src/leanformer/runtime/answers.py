"""Raw outputs of a model turned into answers: labels with probabilities, and spans of text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.text import split_words, word_tags
from leanformer.text.tags import Span, spans


@dataclass(frozen=True)
class Prediction:
    """A label and its probability."""

    label: str
    score: float


@dataclass(frozen=True)
class Unanswered:
    """Stands in the place of an answer and says why a text has none."""

    error: str


def predictions(rows_L: Sequence[NDArray[np.float32]], labels: Sequence[str]) -> list[Prediction]:
    """The likeliest label of each row of logits."""
    if not rows_L:
        return []
    shares_NL = softmax(np.stack(rows_L))
    best_N = shares_NL.argmax(1)
    scores_N = shares_NL[np.arange(len(rows_L)), best_N]
    pairs = zip(best_N.tolist(), scores_N.tolist(), strict=True)
    return [Prediction(labels[best], score) for best, score in pairs]


def tags_of(logits_WL: NDArray[np.float32], labels: Sequence[str]) -> list[str]:
    """The tag of each word, from its logits [W, L]; "O" for words that were not read."""
    read = [place if there else None for place, there in enumerate(were_read(logits_WL))]
    return word_tags(logits_WL, read, labels)


def spans_of(text: str, logits_WL: NDArray[np.float32], labels: Sequence[str]) -> list[Span]:
    """The spans of a text, from the logits of its words [W, L]."""
    there = were_read(logits_WL)
    best_W = np.zeros(len(there), np.float32)
    if there.any():
        best_W[there] = softmax(logits_WL[there]).max(-1)
    return spans(text, tags_of(logits_WL, labels), best_W.tolist(), split_words(text))


def were_read(logits_WL: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which words were read: those whose logits are not all -inf."""
    return np.asarray(~np.isneginf(logits_WL).all(-1))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(-1, keepdims=True)
    return shares
