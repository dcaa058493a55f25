"""Causal language modelling: each token of a text is predicted from those before it.

    perplexity = exp( - 1/n sum_t log p(x_{t+1} | x_1 … x_t) )          n predicted tokens

Perplexity falls as a model becomes better, and a quality must rise: models are judged by its
inverse, the geometric mean probability of a token (`numerics.metrics.likelihood`), and people are
shown perplexity. Only the log likelihoods of the tokens are kept as outputs; logits of the whole
vocabulary for every token of every text would not fit into memory.

Legend: N text, T token.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.technique import technique
from leanformer.numerics.metrics import Metric, TokenProbability
from leanformer.tasks.interface import Asked, Outputs, TaskKind
from leanformer.text import Reading


@dataclass(frozen=True)
class Perplexity:
    """How well a text was predicted.

    Attributes:
        perplexity: Of the text; None where no token was predicted, as in a text of one token.
        predicted: Number of predicted tokens: all that were read but the first.
    """

    perplexity: float | None
    predicted: int


@technique("causal-lm", paper="Radford et al. 2018 (GPT), OpenAI technical report")
class CausalLm(TaskKind):
    """Each next token of plain text: decoders, pre-trained or fitted to a domain."""

    metrics = ("token_probability",)
    head = "causal"
    pairs = "split"
    no_labels = "plain text has no labels; the step for it is pretrain"
    output = "classes"
    per_token = True
    predicts_next = True
    exported = False

    def shown(self, metric: str, quality: float) -> tuple[str, float]:
        """As perplexity."""
        return "perplexity", 1 / quality if quality > 0 else math.inf

    def metric(self, name: str, names: tuple[str, ...]) -> Metric:
        """Of log likelihoods."""
        return TokenProbability()

    def answers(self, outputs: Outputs, asked: Asked) -> list[tuple[float, int]]:
        """Log likelihood and predicted tokens of each text."""
        rows = map(_predicted, outputs)
        return [(float(row.sum(dtype=np.float64)), len(row)) for row in rows]

    def right(self, asked: Asked) -> None:
        """Nothing: the tokens are in the texts."""

    def agreement(self, reference: Outputs, other: Outputs) -> float:
        """Ratio of the smaller token probability to the larger one."""
        metric = TokenProbability()
        both = [metric.score(self.answers(one, Asked()), None) for one in (reference, other)]
        return min(both) / max(both) if max(both) > 0 else 1.0

    def serve(
        self,
        outputs: Outputs,
        names: tuple[str, ...],
        texts: Sequence[str],
        readings: Sequence[Reading],
        thresholds: Sequence[float] = (),
    ) -> list[Perplexity]:
        """The perplexity of each text."""
        return [_perplexity(_predicted(row)) for row in outputs]

    def plain(self, answer: Perplexity) -> dict[str, Any]:
        """The perplexity, null with a note where it is no number, and the predicted tokens."""
        value, predicted = answer.perplexity, answer.predicted
        if value is not None and math.isfinite(value):
            return {"perplexity": value, "predicted": predicted}
        note = "one token: nothing is predicted" if value is None else f"perplexity is {value}"
        return {"perplexity": None, "predicted": predicted, "note": note}


def _predicted(row_T: NDArray[np.float32]) -> NDArray[np.float32]:
    """The log likelihoods of a row without padding and without the end."""
    return row_T[~np.isposinf(row_T)]


def _perplexity(row_T: NDArray[np.float32]) -> Perplexity:
    if len(row_T) == 0:
        return Perplexity(None, 0)
    with np.errstate(over="ignore"):
        return Perplexity(float(np.exp(-row_T.mean(dtype=np.float64))), len(row_T))
