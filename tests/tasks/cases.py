"""A task's own reading of rows, as the tests of each task ask for it."""

from collections.abc import Sequence
from typing import Any

from leanformer.tasks import kind_named


def kept(kind: str, values: Sequence[Any], *, column: str = "label") -> tuple[Any, ...]:
    """Names of the labels, and the label of each row, of a column with these values."""
    form = kind_named(kind).form
    assert form is not None
    read = [form.read({column: value}, column) for value in values]
    names = form.names(read, column)
    return names, [form.parse(one, names) for one in read]
