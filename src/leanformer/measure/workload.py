"""The loads that systems are timed on, made once and given to all alike.

    latency_32, latency_128   batch 1 of exactly 32 and 128 tokens, 16 calls in a row
    throughput                real texts, sorted by length, batches of 16
    throughput_unsorted       the same texts in the caller's order, batches of 16, padded to the
                              longest: what users run who were told nothing

Tokenization is outside the timer; it costs the same for every system with one tokenizer. A student
with a vocabulary of its own tokenizes for itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leanformer.runtime.batching import Encoded, Padding, fixed_size, padding, stack
from leanformer.runtime.session import Session, feed
from leanformer.runtime.tokenizing import tokenize

ROWS = 16


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Padded batches, ready to be fed.

    Attributes:
        batches: int64 arrays by input name.
        texts: How many texts they hold.
        padding: Their real and padded tokens.
    """

    batches: tuple[dict[str, np.ndarray], ...]
    texts: int
    padding: Padding

    def run(self, session: Session) -> None:
        """Answer every batch."""
        for batch in self.batches:
            feed(session, batch)


def text_load(
    tokenizer: Any,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    by_length: bool,
    rows: int = ROWS,
    max_length: int = 128,
) -> Workload:
    """Batches of `rows` real texts, sorted by length or in the caller's order."""
    encoded = tokenize(tokenizer, texts, pairs, max_length=max_length, truncate=True)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    batches = fixed_size(lengths, rows, by_length=by_length)
    pad = tokenizer.pad_token_id or 0
    arrays = tuple(stack(encoded, batch, pad) for batch in batches)
    return Workload(batches=arrays, texts=len(texts), padding=padding(lengths, batches))


def single_load(
    tokenizer: Any,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    tokens: int,
    calls: int = 16,
) -> Workload:
    """`calls` batches of one row of exactly `tokens` tokens, cut from the texts' own ids.

    They are timed in a row, as a service answers them: the first one after another system's turn
    finds the caches cold, and says more about the turns than about the system.

    Raises:
        ValueError: There are no texts.
    """
    if not texts:
        raise ValueError("texts: a load is made of the caller's texts; there are none")
    encoded = tokenize(tokenizer, texts, pairs, max_length=tokens * calls, truncate=True)
    stream = [token for ids in encoded["input_ids"] for token in ids]
    stream *= -(-tokens * calls // len(stream))
    rows = [stream[start : start + tokens] for start in range(0, tokens * calls, tokens)]
    ones, zeros = [1] * tokens, [0] * tokens
    single: Encoded = {
        "input_ids": rows,
        "attention_mask": [ones] * calls,
        "token_type_ids": [zeros] * calls,
    }
    arrays = tuple(stack(single, [index], 0) for index in range(calls))
    return Workload(batches=arrays, texts=calls, padding=Padding(tokens * calls, tokens * calls))
