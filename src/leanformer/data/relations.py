"""Which texts of a data set belong together: what a model that makes vectors learns from.

anchor, positive                 two texts that answer each other, or mean the same
anchor, positive, negatives      … and texts that look alike and do not
anchor, other text, label        a pair with a score or a class, as it is written
anchor, candidates, scores       … each candidate with the score that a teacher gave it
"""

from dataclasses import dataclass
from typing import Any

from leanformer.core.identity.digest import chunks, digest


@dataclass(frozen=True, kw_only=True)
class Relations:
    """Texts that belong together, row by row.

    Attributes:
        anchors: The first text of each row: a query, a sentence.
        positives: The text that belongs to it, or the second one of a pair with a label.
        negatives: Texts that do not belong to it, any number per row; () in each row = none given.
        labels: The label of each row as it is written, a score or a class; "" where it has
            none; None = there is no such column.
        scores: The score that a teacher gave to the positive and to each negative; None = none.
    """

    anchors: tuple[str, ...]
    positives: tuple[str, ...]
    negatives: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...] | None = None
    scores: tuple[tuple[float, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.anchors)

    def candidates(self, row: int) -> tuple[str, ...]:
        """The positive and the negatives of a row."""
        return (self.positives[row], *self.negatives[row])

    def identity(self) -> str:
        """A digest of all rows."""
        columns: tuple[Any, ...] = (
            self.anchors,
            self.positives,
            self.negatives,
            self.labels,
            self.scores,
        )
        return digest(*(column if column is None else chunks(column) for column in columns))
