"""A row of data that knows where it stands in the user's file, so that every refusal can say so.

    data.tsv:17              line 17, where the format has lines; the line on which the row begins
    data.parquet row 3       the third row
    owner/name test row 3    the third row of a split on the hub

Rows keep their place when they are split off, sorted or cut to a limit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


class Row(dict[str, Any]):
    """A dictionary by column, with its place.

    Attributes:
        source: What stands before the number, e.g. "data.tsv:"; one string for all rows of a file.
        number: Line or row, counted from 1; 0 where the row comes from no file.
    """

    __slots__ = ("number", "source")

    def __init__(
        self,
        values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        source: str = "",
        number: int = 0,
    ) -> None:
        super().__init__(values)
        self.source, self.number = source, number

    @property
    def place(self) -> str:
        """Where the row stands, e.g. "data.tsv:17"."""
        return f"{self.source}{self.number}"


def places(split: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Each row with its place in words: in its file, or in `split` where it comes from no file."""
    for number, row in enumerate(rows, 1):
        read = row.place if isinstance(row, Row) and row.number else ""
        yield read or f"{split} row {number}", row


def places_in_short(given: Sequence[str]) -> str:
    """Several places, each file named once: "data.tsv:1, 14, dev.tsv:3"."""
    shown, before = list[str](), ""
    for place in given:
        source = place.rstrip("0123456789")
        shown.append(place.removeprefix(source) if source == before else place)
        before = source
    return ", ".join(shown)
