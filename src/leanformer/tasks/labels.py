"""How the labels of a task are written in a file, kept, and marked as missing.

    class name    "refund"         kept as its index among the sorted names; missing: IGNORE
    number        "3.5"            kept as it is; missing: NaN

A task with labels of another form brings its own `LabelForm` in its own file.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from leanformer.core.label_order import sort_labels
from leanformer.core.shown import shown
from leanformer.core.technique import nearest

IGNORE = -100
"""Cross entropy's mark for positions without a label."""

_CLASSES = 1000  # more distinct labels than this is a sign of the wrong column


class MissingLabel(ValueError):
    """A row has no label: the message says of which column, and the way out.

    Attributes:
        column: The column.
        way: What to do about it.
    """

    def __init__(self, column: str, way: str) -> None:
        self.column, self.way = column, way
        super().__init__(f"{column} is missing; give the row {way}")


class LabelForm(ABC):
    """How one task writes and keeps its labels.

    Errors of `read` and `parse` name neither split nor row: the reader of the file does.

    Attributes:
        dtype: Type of the labels of a batch.
        to_one: Whether labels are divided by the largest one of the training rows.
        several: Whether the labels may stand in several columns of 0 and 1, each named as its
            column is; `column` then holds their names with commas between them.
    """

    dtype: ClassVar[Literal["int64", "float32"]]
    to_one: ClassVar[bool] = False
    several: ClassVar[bool] = False

    @abstractmethod
    def read(self, row: Mapping[str, Any], column: str) -> Any:
        """The label of a row as it is written.

        Raises:
            MissingLabel: The row has none.
            ValueError: It is not written as labels of this form are.
        """

    @abstractmethod
    def names(self, written: Sequence[Any], column: str) -> tuple[str, ...]:
        """The names of the labels in the training rows, in order; () where labels are numbers.

        Raises:
            ValueError: They are too few or too many to be labels.
        """

    @abstractmethod
    def parse(self, written: Any, names: tuple[str, ...]) -> Any:
        """The label as it is kept.

        Raises:
            ValueError: It is not among `names`, or not a number.
        """

    @abstractmethod
    def blank(self, width: int) -> Any:
        """The label of a text that has none, which losses leave out.

        Args:
            width: Number of labels per text: words of a text with a label per word, or label names
                of a text that is judged by each.
        """

    @abstractmethod
    def renumbered(self, label: Any, new: Sequence[int], count: int) -> Any:
        """`label` after its names have moved: name i to place `new[i]` of `count`."""


class ClassName(LabelForm):
    """One class per text, by name."""

    dtype = "int64"

    def read(self, row: Mapping[str, Any], column: str) -> str:
        """The name."""
        return written(row, column)

    def names(self, written: Sequence[str], column: str) -> tuple[str, ...]:
        """The classes that occur, sorted."""
        counts = Counter(written)
        if len(counts) < 2:
            raise ValueError(
                f"column {shown(column)} has one class only ({shown(next(iter(counts)))}); "
                "classification needs two or more"
            )
        return ordered_names(counts, column)

    def parse(self, written: str, names: tuple[str, ...]) -> int:
        """Its index."""
        return index_of(written, names)

    def blank(self, width: int) -> int:
        """IGNORE."""
        return IGNORE

    def renumbered(self, label: int, new: Sequence[int], count: int) -> int:
        """The new index."""
        return new[label]


class Number(LabelForm):
    """One number per text."""

    dtype = "float32"

    def read(self, row: Mapping[str, Any], column: str) -> str:
        """The number as it is written."""
        return written(row, column)

    def names(self, written: Sequence[str], column: str) -> tuple[str, ...]:
        """None."""
        return ()

    def parse(self, written: str, names: tuple[str, ...]) -> float:
        """The number, which must be finite."""
        if not is_number(written) or not math.isfinite(float(written)):
            raise ValueError(f"score {shown(written)} is not a finite number")
        return float(written)

    def blank(self, width: int) -> float:
        """NaN."""
        return math.nan

    def renumbered(self, label: float, new: Sequence[int], count: int) -> float:
        """The same number."""
        return label


def written(row: Mapping[str, Any], column: str) -> str:
    """The value of a column as text.

    Raises:
        MissingLabel: It is missing, blank or NaN.
    """
    value = row.get(column)
    if is_missing(value) or not str(value).strip():
        raise MissingLabel(column, "one, or move its text to the unlabelled file")
    return str(value)


def is_missing(value: Any) -> bool:
    """Whether a value is None or NaN, as tables mark what is not there."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def ordered_names(counts: Counter[str], column: str) -> tuple[str, ...]:
    """The names of labels, sorted.

    Raises:
        ValueError: They are so many that the column is hardly one of labels.
    """
    if len(counts) > _CLASSES:
        raise ValueError(
            f"column {shown(column)} has {len(counts)} different labels; is it the right column? "
            "For numbers add --task regression"
        )
    return sort_labels(counts)


def index_of(name: str, names: tuple[str, ...], noun: str = "label") -> int:
    """The place of a label among the training labels.

    Raises:
        ValueError: It is not among them.
    """
    if name not in names:
        raise ValueError(
            f"{noun} {shown(name)} is not among the training {noun}s{nearest(name, list(names))}"
        )
    return names.index(name)


def is_whole(text: str) -> bool:
    """Whether `text` is a whole number, however it is written: 3, 3.0."""
    return is_number(text) and math.isfinite(float(text)) and float(text).is_integer()


def is_number(text: str) -> bool:
    """Whether `text` is a number, infinities and NaN included."""
    try:
        float(text)
    except ValueError:
        return False
    return True
