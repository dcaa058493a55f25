"""What a search answers: a passage, where it is from, and its scores."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hit:
    """A passage that was found.

    Attributes:
        key: Its name in the store.
        score: What it was ordered by; only scores of one question can be compared.
        text: The passage.
        metadata: "source", "start_char" and "end_char" of it, and the columns of a table.
        scores: The score of each part that found it: "bm25", "dense" (inner product of vectors),
            "fused" (reciprocal ranks) and "rerank" (the cross-encoder's).
    """

    key: str
    score: float
    text: str
    metadata: dict[str, Any]
    scores: dict[str, float]
