"""What a served model answers: labels with probabilities, and spans of text.

Legend: N text, L label, T token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from leanformer.text import Reading, split_words, word_tags
from leanformer.text.tags import Span, spans

Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True)
class Prediction:
    """A label and its probability."""

    label: str
    score: float


def predictions(rows_L: Sequence[NDArray[np.float32]], labels: Sequence[str]) -> list[Prediction]:
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


def softmax(logits: NDArray[Real]) -> NDArray[Real]:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: NDArray[Real] = powers / powers.sum(-1, keepdims=True)
    return shares


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of each logit for itself."""
    # by halves of tanh: exp would overflow at large negative logits
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), dtype=logits.dtype)


def equal_choices(
    reference: Sequence[NDArray[np.float32]], other: Sequence[NDArray[np.float32]]
) -> float:
    """Share of texts, or of tokens, in which the largest logit is the same."""
    first = np.concatenate([np.atleast_1d(row.argmax(-1)) for row in reference])
    second = np.concatenate([np.atleast_1d(row.argmax(-1)) for row in other])
    return float((first == second).mean())


def correlation(
    reference: Sequence[NDArray[np.float32]], other: Sequence[NDArray[np.float32]]
) -> float:
    """Pearson's correlation of the first number of each output; of constants, whether they are
    close."""
    first, second = np.stack(reference)[:, 0], np.stack(other)[:, 0]
    if first.std() == 0 or second.std() == 0:
        return float(np.allclose(first, second))
    return float(np.corrcoef(first, second)[0, 1])


def cosines(first_BD: NDArray[np.float32], second_BD: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine of each pair of rows."""
    norms = np.linalg.norm(first_BD, axis=1) * np.linalg.norm(second_BD, axis=1)
    return np.asarray((first_BD * second_BD).sum(1) / np.maximum(norms, 1e-12))
