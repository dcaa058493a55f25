"""Raw outputs of a model turned into answers: labels with probabilities, and spans of text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.text import Reading, split_words, word_tags
from leanformer.text.tags import Span, spans

Outputs = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Prediction:
    """A label and its probability."""

    label: str
    score: float


@dataclass(frozen=True)
class Unanswered:
    """Stands in the place of an answer and says why a text has none."""

    error: str


def predictions(rows_L: Outputs, labels: Sequence[str]) -> list[Prediction]:
    """The likeliest label of each row of logits."""
    if not rows_L:
        return []
    shares_NL = softmax(np.stack(rows_L))
    best_N = shares_NL.argmax(1)
    scores_N = shares_NL[np.arange(len(rows_L)), best_N]
    pairs = zip(best_N.tolist(), scores_N.tolist(), strict=True)
    return [Prediction(labels[best], score) for best, score in pairs]


def spans_of(
    text: str, reading: Reading, logits_TL: NDArray[np.float32], labels: Sequence[str]
) -> list[Span]:
    """The spans of a text whose words were read, from the logits of its tokens [T, L]."""
    best_T = softmax(logits_TL).max(-1)
    scores = [0.0 if first is None else float(best_T[first]) for first in reading.firsts]
    tags = word_tags(logits_TL, reading.firsts, labels)
    return spans(text, tags, scores, split_words(text))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(-1, keepdims=True)
    return shares
