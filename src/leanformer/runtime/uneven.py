"""Rows of very uneven lengths, together and each alone.

This shows two faults before anybody is served: answers that are not finite, e.g. where a short text
is padded by more than a local window; and answers that change with the other texts of a batch.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.batching import Batch, stack
from leanformer.runtime.session import Session, feed
from leanformer.text import Reading

_LONGEST = 512  # tokens; four windows of a model with local attention
_SHARES = (1.0, 0.02, 0.5, 0.1, 0.02, 0.8)  # lengths of the rows, as shares of the longest


def run_uneven(session: Session, vocabulary: int, longest: int, pad: int) -> float:
    """The largest change of an output through the other rows, as a share of the largest output.

    Args:
        session: The session.
        vocabulary: Number of token ids.
        longest: Tokens that the model reads; at most 512 are tried.
        pad: The id that fills short rows.

    Raises:
        ValueError: An output is not finite, or there are not as many outputs as rows.
    """
    readings = uneven_rows(vocabulary, min(longest, _LONGEST), pad)
    together = _answers(session, readings, range(len(readings)), pad)
    alone = [_answers(session, readings, [index], pad)[0] for index in range(len(readings))]
    if not all(np.isfinite(row).all() for row in (*together, *alone)):
        raise ValueError(
            f"{session.backend} {session.precision} answers with numbers that are not finite"
        )
    largest = max(float(np.abs(row).max()) for row in alone)
    worst = max(float(np.abs(a - b).max()) for a, b in zip(together, alone, strict=True))
    return worst / max(largest, 1e-12)


def uneven_rows(vocabulary: int, longest: int, pad: int) -> list[Reading]:
    """Rows of random tokens, the first as long as the model reads, the others shorter."""
    rng = np.random.default_rng(0)
    rows = []
    for share in _SHARES:
        ids = rng.integers(vocabulary // 2, vocabulary, max(3, round(share * longest)))
        ids[ids == pad] = vocabulary // 2
        rows.append(Reading(ids[:longest].tolist(), [0] * min(len(ids), longest), cut=False))
    return rows


def _answers(
    session: Session, readings: list[Reading], indices: Sequence[int], pad: int
) -> list[NDArray[np.float32]]:
    chosen = tuple(indices)
    batch = Batch(chosen, len(chosen), max(len(readings[index].ids) for index in chosen))
    output = feed(session, stack(readings, batch, pad))
    if len(output) != len(chosen):
        raise ValueError(f"{session.backend} answers {len(chosen)} rows with {output.shape}")
    lengths = [len(readings[index].ids) for index in chosen]
    return [
        row[:length] if row.ndim > 1 else row for row, length in zip(output, lengths, strict=True)
    ]
