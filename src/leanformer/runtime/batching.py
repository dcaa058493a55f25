"""Cover a list of texts with batches of few shapes and little padding.

A batch costs rows · tokens and a fixed price per call. Texts are sorted by length and covered by
the batches of least total cost:

    cost = Σ_batches  call_cost + rows · tokens

Runtimes make kernels for every new shape and keep them: in int8 OpenVINO grows by 2 MiB per shape,
so a server would grow without bound. Shapes are therefore few: 1, 4, 16 or 64 rows, and eight
lengths per doubling (16, 18, 20, … 32, 36, …). Spare rows repeat the first text of the batch, and
their answers are dropped.

Everything here is pure: lengths in, indices out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.text import Reading

ROWS = (1, 4, 16, 64)
MAX_TOKENS = 2048  # of a batch
_STEPS = 8  # lengths per doubling
_CALL = 12  # tokens that a call costs on one thread, measured with MiniLM in OpenVINO and ONNX


@dataclass(frozen=True)
class Batch:
    """Which texts are computed together, and in which shape.

    Attributes:
        indices: Indices of the texts in the caller's list; at most `rows`.
        rows: Rows that are computed.
        tokens: Tokens of each row, padding included.
    """

    indices: tuple[int, ...]
    rows: int
    tokens: int


@dataclass(frozen=True)
class Padding:
    """How many tokens were computed, and how many of them were text.

    Attributes:
        real: Tokens of the texts, special tokens included.
        padded: Tokens computed: rows times tokens, summed over the batches.
    """

    real: int
    padded: int


def plan_batches(
    lengths: Sequence[int], limit: int, *, threads: int = 1, max_tokens: int = MAX_TOKENS
) -> list[Batch]:
    """Batches of the few shapes with the least total cost, from long texts to short ones.

    Args:
        lengths: Tokens of each text.
        limit: Tokens that the model reads at most.
        threads: Threads that compute a batch; the fixed price of a call grows with them.
        max_tokens: Padded tokens per batch, at most; a longer text has a batch of its own.

    Raises:
        ValueError: `max_tokens` is not positive.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens: {max_tokens} is not positive")
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    cost = [0.0] * (len(order) + 1)  # of all texts from this one on
    shapes: list[tuple[int, int]] = [(0, 0)] * len(order)
    for place in reversed(range(len(order))):
        tokens = round_up(lengths[order[place]], limit)
        best = float("inf")
        for rows in ROWS:
            if rows > 1 and rows * tokens > max_tokens:
                break
            end = min(len(order), place + rows)
            price = _CALL * threads + rows * tokens + cost[end]
            if price < best:
                best, shapes[place] = price, (rows, tokens)
        cost[place] = best
    batches, place = [], 0
    while place < len(order):
        rows, tokens = shapes[place]
        batches.append(Batch(tuple(order[place : place + rows]), rows, tokens))
        place += rows
    return batches


def round_up(tokens: int, limit: int) -> int:
    """The next larger length that batches have, at most `limit`."""
    step = max(2, 2 ** ((tokens - 1).bit_length() - 1) // _STEPS)
    return min(limit, -(-tokens // step) * step)


def batches_in_order(lengths: Sequence[int], rows: int, *, by_length: bool = False) -> list[Batch]:
    """Batches of `rows`, padded to their longest, in the caller's order or sorted by length.

    In the caller's order it is what most users run, and so the baseline to compare with.

    Raises:
        ValueError: `rows` is not positive.
    """
    if rows < 1:
        raise ValueError(f"rows: {rows} is not positive")
    order = list(range(len(lengths)))
    if by_length:
        order.sort(key=lambda index: lengths[index])
    parts = [order[start : start + rows] for start in range(0, len(order), rows)]
    return [Batch(tuple(p), len(p), max(lengths[index] for index in p)) for p in parts]


def padding(lengths: Sequence[int], batches: Sequence[Batch]) -> Padding:
    """The real and padded tokens of `batches`."""
    return Padding(sum(lengths), sum(batch.rows * batch.tokens for batch in batches))


def stack(readings: Sequence[Reading], batch: Batch, pad_id: int) -> dict[str, NDArray[np.int64]]:
    """The rows of one batch as int64 arrays [rows, tokens], padded at the end."""
    chosen = [readings[index] for index in batch.indices]
    chosen += chosen[:1] * (batch.rows - len(chosen))
    lengths = np.array([len(reading.ids) for reading in chosen])
    filled = np.arange(batch.tokens) < lengths[:, None]
    ids, types = (np.full(filled.shape, fill, np.int64) for fill in (pad_id, 0))
    ids[filled] = [token for reading in chosen for token in reading.ids]
    types[filled] = [one for reading in chosen for one in reading.types]
    mask = filled.astype(np.int64)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def restore(
    batches: Sequence[Batch], outputs: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """One output per text, in the caller's order; `outputs` holds one array per batch."""
    by_index = {
        index: row
        for batch, rows in zip(batches, outputs, strict=True)
        for index, row in zip(batch.indices, rows[: len(batch.indices)], strict=True)
    }
    return [by_index[index] for index in range(len(by_index))]
