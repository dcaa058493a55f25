"""How well a language model predicts documents that were held out.

    loss              nats per predicted token
    perplexity        exp(loss), per token: compares models of one tokenizer alone
    word perplexity   exp(nats / words)          compares tokenizers; causal models
    bits per byte     nats / (bytes · ln 2)      likewise
    accuracy          share of the predicted tokens that are the likeliest one

A causal model predicts each token but the first of a piece, and the end of each document, whose
loss counts although it is neither a word nor a byte. Of a masked model the hidden tokens count;
they are hidden once and for all, so that two evaluations compare.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from leanformer.core.machine.device import device_of
from leanformer.data import IGNORE, Encoded, by_length
from leanformer.train.precision import Precision
from leanformer.train.tasks.cross_entropy import cross_entropy_sum

_LOGITS = 2**26  # numbers of a batch: a quarter of a gigabyte in fp32
_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        loss: Nats per predicted token.
        perplexity: Its exponential.
        accuracy: Share of the predicted tokens that were the likeliest.
        predicted: Tokens that were predicted.
        word_perplexity: Exponential of the nats per word; None of masked models.
        bits_per_byte: None of masked models.
    """

    loss: float
    perplexity: float
    accuracy: float
    predicted: int
    word_perplexity: float | None = None
    bits_per_byte: float | None = None


class Evaluator:
    """Evaluates a model on held-out documents; called by the loop, which wants more to be better.

    Args:
        held_out: Rows with the tokens to predict as labels.
        precision: As of the training.
        tokenizer: Tells the words and bytes of what is predicted; None = neither is counted, as for
            masked models.
        sample: Gives texts that the model writes, which are kept too.

    Attributes:
        last: What the last call found; None before the first one.
        samples: What the model wrote then.
        seconds: How long all calls took.
    """

    def __init__(
        self,
        held_out: Encoded,
        precision: str,
        tokenizer: Any = None,
        sample: Callable[[Any], list[dict[str, str]]] | None = None,
    ) -> None:
        self._held_out, self._precision, self._sample = held_out, precision, sample
        self._words, self._bytes = (0, 0) if tokenizer is None else counted(held_out, tokenizer)
        self.last: Evaluation | None = None
        self.samples: list[dict[str, str]] = []
        self.seconds = 0.0

    def __call__(self, model: nn.Module) -> float:
        """Evaluate; the loss with its sign turned."""
        started = time.perf_counter()
        nats, right, tokens = measured(model, self._held_out, self._precision)
        loss = nats / tokens
        self.last = Evaluation(
            loss=loss,
            perplexity=_exp(loss),
            accuracy=right / tokens,
            predicted=tokens,
            word_perplexity=_exp(nats / self._words) if self._words else None,
            bits_per_byte=nats / self._bytes / math.log(2) if self._bytes else None,
        )
        if self._sample is not None:
            self.samples = self._sample(model)
        self.seconds += time.perf_counter() - started
        return -loss


@torch.no_grad()
def measured(model: Any, encoded: Encoded, precision: str) -> tuple[float, int, int]:
    """The loss of all labelled tokens in nats, how many were the likeliest, and how many there are.

    Raises:
        ValueError: No token is labelled.
    """
    model.eval()
    device = device_of(model)
    cast = Precision(precision, device.type)
    nats, right, tokens = 0.0, 0, 0
    longest = max(map(encoded.length, range(len(encoded))))
    rows = max(1, min(_ROWS, _LOGITS // (longest * model.config.vocab_size)))
    for indices in by_length(encoded, rows):
        batch = encoded.batch(indices).to(device)
        assert batch.labels is not None, "the tokens to predict are the labels"
        with cast.autocast():
            logits = model(**batch.inputs).logits
        known = batch.labels != IGNORE
        nats += float(cross_entropy_sum(logits, batch.labels))
        right += int((logits.argmax(-1) == batch.labels)[known].sum())
        tokens += int(known.sum())
    if not tokens:
        raise ValueError(
            "held_out: the held-out documents have no token to predict; hold more out, or give "
            "longer texts"
        )
    return nats, right, tokens


def counted(encoded: Encoded, tokenizer: Any) -> tuple[int, int]:
    """The words and the bytes of UTF-8 of all tokens that a causal model predicts.

    Where a tokenizer changes texts (lower case), these are counts of the changed ones.
    """
    words = size = 0
    for row in encoded.rows:
        text = tokenizer.decode(
            row["input_ids"][1:], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        words += len(text.split())
        size += len(text.encode())
    return words, size


def _exp(value: float) -> float:
    """The exponential, infinite where it is too large for a float."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
