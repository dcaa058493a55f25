"""Batches with little padding: sort by length, pack to a budget, answer in the caller's order.

A batch costs rows · longest, so mixing a long text with short ones pays for tokens that are not
there. Sorting alone halves the padded tokens of ordinary text; a budget of tokens instead of a
fixed number of rows keeps the work of every batch alike.

    padded = Σ_batches rows · longest   ≥   real = Σ_texts length

Everything here is pure: lengths in, indices out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Encoded = dict[str, list[list[int]]]

_WORTH_A_CALL = 256  # tokens; below it the fixed cost of a call weighs more than padding
_LEAST_FILL = 0.8  # real tokens over padded ones


@dataclass(frozen=True)
class Padding:
    """How many tokens were computed, and how many of them were text.

    Attributes:
        real: Tokens of the texts, special tokens included.
        padded: Tokens computed: rows times the longest row, summed over the batches.
    """

    real: int
    padded: int


def token_budget(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Indices in batches sorted by length, each of at most `max_tokens` padded tokens.

    A batch that is worth its call already (256 tokens) also ends where the next text would leave
    more than a fifth of it padding. A single text longer than the budget gets a batch of its own.

    Raises:
        ValueError: `max_tokens` is not positive.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens: {max_tokens} is not positive")
    batches: list[list[int]] = []
    real = 0
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        length = lengths[index]
        padded = (len(batches[-1]) + 1) * length if batches else 0
        wasteful = real >= _WORTH_A_CALL and real + length < _LEAST_FILL * padded
        if batches and padded <= max_tokens and not wasteful:
            batches[-1].append(index)
            real += length
        else:
            batches.append([index])
            real = length
    return batches


def fixed_size(lengths: Sequence[int], rows: int, *, by_length: bool = False) -> list[list[int]]:
    """Indices in batches of `rows`, in the caller's order or sorted by length.

    In the caller's order it is what most users run, and so the baseline to compare with.

    Raises:
        ValueError: `rows` is not positive.
    """
    if rows < 1:
        raise ValueError(f"rows: {rows} is not positive")
    order = list(range(len(lengths)))
    if by_length:
        order.sort(key=lambda index: lengths[index])
    return [order[start : start + rows] for start in range(0, len(order), rows)]


def padding(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> Padding:
    """The real and padded tokens of `batches`."""
    padded = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    return Padding(sum(lengths), padded)


def stack(encoded: Encoded, batch: Sequence[int], pad_id: int) -> dict[str, np.ndarray]:
    """The rows of one batch as int64 arrays [batch, token], padded at the end to the longest."""
    longest = max(len(encoded["input_ids"][index]) for index in batch)
    fill = {"input_ids": pad_id}
    arrays = {}
    for name, rows in encoded.items():
        array = np.full((len(batch), longest), fill.get(name, 0), dtype=np.int64)
        for row, index in enumerate(batch):
            array[row, : len(rows[index])] = rows[index]
        arrays[name] = array
    return arrays


def restore(batches: Sequence[Sequence[int]], outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One output a text, in the caller's order; `outputs` holds one array a batch, row by row."""
    by_index = {
        index: row
        for batch, rows in zip(batches, outputs, strict=True)
        for index, row in zip(batch, rows, strict=True)
    }
    return [by_index[index] for index in range(len(by_index))]
