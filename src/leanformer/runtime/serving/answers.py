"""What stands in for an answer, who gave it, and which words a system read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.text import Reading


@dataclass(frozen=True)
class Unanswered:
    """Stands in the place of an answer and says why a text has none."""

    error: str


@dataclass(frozen=True)
class Sourced:
    """An answer, and the name of the part of the system that gave it."""

    answer: Any
    source: str


def words_read(logits_WL: NDArray[np.float32]) -> list[int | None]:
    """The row of each word; None where all its logits are -inf: it was not read."""
    return [place if np.isfinite(row).any() else None for place, row in enumerate(logits_WL)]


def readings_of(rows_WL: Sequence[NDArray[np.float32]]) -> list[Reading]:
    """Texts as a system read them that answers word by word: each word is a token of its own."""
    return [Reading([], [], cut=False, firsts=tuple(words_read(row))) for row in rows_WL]
