"""What nobody asked for is told from the rows, and asked about where it is not certain.

    certain         labels that are names; numbers with fractions; lists of names; words with tags
    asked about     two columns of text; a rating in whole numbers; 0.0 and 1.0; 0 to 300; lists of
                    numbers; two columns of labels; a label of its own per row; queries that repeat

Asking is a refusal that names the option. A wrong guess would cost a training, and be found late
or never.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from leanformer.data.chosen_columns import LABEL, Columns, columns_in, usual_name
from leanformer.data.rows import Row
from leanformer.tasks import kind_named
from leanformer.tasks.labels import is_number, is_whole

_SAMPLE = 1000  # rows that are looked at to tell what a column holds
_SHOWN = 3  # values and columns that a message names
_WORDS = 3  # a text has so many words on average; names, dates and ids have fewer
_MANY = 50  # more whole numbers than this may be classes or numbers
_SOME = 20  # rows, from which labels that never repeat are suspicious
_NEARLY_ALL = 0.9
_RATINGS = {"score", "rating", "ratings", "star", "stars", "grade", "similarity", "points"}
_PLAIN = ("label", "labels")
_QUERIES = ("query", "question")
_FOUND = ("passage", "document", "answer")
_ONE_OF_TWO = (
    "which may be classes or numbers; say which: --task classification or --task regression"
)


def check_guesses(train: list[Row], asked: Columns, chosen: Columns) -> None:
    """Refuse columns that were found by their names where others may be meant.

    Args:
        train: The training rows, as they were read.
        asked: The columns that were asked for.
        chosen: Those that are to be read.

    Raises:
        ValueError: There are several columns of text or of labels, or a column that may be one of
            labels is not named as such; the message names the options.
    """
    if asked.text is None:
        _check_texts(train, chosen)
    about = kind_named(asked.kind) if asked.kind is not None else None
    if asked.label is not None or (about is not None and about.form is None):
        return
    if chosen.label is not None:
        _check_labels(train, chosen)
    elif asked.kind is None:
        _check_no_label(train, chosen)


def told_kind(train: list[Row], columns: Columns, values: list[Any]) -> str:
    """The kind of task that labels have if nobody asked for one.

    Args:
        train: The training rows.
        columns: The columns that are read.
        values: The label of each row, as it is written.

    Raises:
        ValueError: The labels fit more than one kind.
    """
    label = columns.label
    assert label is not None
    if any(isinstance(value, list) for value in values):
        _check_lists(label, values)
        return "multi-label"
    texts = [str(value) for value in values]
    numbers = [text for text in texts if is_number(text)]
    fractions = any(not text.lstrip("-").isdigit() for text in numbers)
    if len(numbers) == len(texts):
        _check_ranking(train, columns)
        if fractions and not all(map(is_whole, texts)):
            return "regression"
        _check_whole(label, texts, fractions)
    elif fractions and len(numbers) >= _NEARLY_ALL * len(texts):
        other = next(text for text in texts if not is_number(text))
        raise ValueError(
            f"column {label!r} holds numbers, and {other!r} among them; give these rows a number, "
            "or say that all are names: --task classification"
        )
    _check_repeated(label, texts)
    return "classification"


def why_told(kind: str, labels: Sequence[str]) -> str:
    """What a kind that was not asked for was told from.

    Args:
        kind: The kind of task.
        labels: Names of the labels.
    """
    if kind == "classification":
        whole = all(map(is_whole, labels))
        return "labels are few whole numbers" if whole else "labels are names"
    return {
        "embedding": "there is no column of labels",
        "multi-label": "labels are lists",
        "regression": "labels are numbers with fractions",
    }.get(kind, "there are words with tags")


def _check_texts(train: list[Row], chosen: Columns) -> None:
    """Refuse further columns that hold texts."""
    assert chosen.text is not None
    others = [name for name in _unread(train, chosen) if _holds_texts(train, name)]
    if not others:
        return
    read = [name for name in (chosen.text, chosen.pair) if name is not None]
    named = _listed([*read, *others])
    second = chosen.pair or others[0]
    raise ValueError(
        f"columns {named} all hold texts; say which are read: --text {chosen.text}, or with a "
        f"second text --text {chosen.text} --pair {second}"
    )


def _check_labels(train: list[Row], chosen: Columns) -> None:
    """Refuse two columns with usual names of labels, unless they say the same.

    One that is called label, or labels, is the one, whatever else there is.
    """
    assert chosen.label is not None
    named = usual_name(chosen.label) in _PLAIN
    for other in _unread(train, chosen):
        if usual_name(other) in (_PLAIN if named else LABEL) and not _same(
            train, chosen.label, other
        ):
            raise ValueError(
                f"columns {chosen.label!r} and {other!r} may both be labels; say which: "
                f"--label {chosen.label} or --label {other}"
            )


def _check_no_label(train: list[Row], chosen: Columns) -> None:
    """Refuse to take rows for texts without labels that may have some."""
    others = _unread(train, chosen)
    flags = [name for name in others if _is_flag(train, name)]
    some = [name for name in others if _may_be_labels(train, name)]
    if not some:
        return
    ways = [f"--label {some[0]}"]
    if len(flags) > 1:
        ways.insert(0, f"--task multi-label --label {','.join(flags)}")
    raise ValueError(
        f"no column of labels is recognised, and {_listed(some)} may be one; say so: "
        f"{', or '.join(ways)}, or --task embedding for texts without labels"
    )


def _check_lists(label: str, values: list[Any]) -> None:
    """Refuse lists that may be flags or shares of each label in place of names."""
    lists = [value for value in values if isinstance(value, list)]
    items = [item for value in lists for item in value]
    lengths = {len(value) for value in lists}
    flags = lengths != {1} and len(lengths) == 1 and all(str(one) in ("0", "1") for one in items)
    if flags or any(isinstance(item, float) for item in items):
        raise ValueError(
            f"column {label!r} holds lists of numbers such as {lists[0]!r}, which may be flags or "
            "scores of each label; write the names of a text's labels as its list, or one column "
            "of 0 and 1 per label: --task multi-label --label anger,fear"
        )


def _check_ranking(train: list[Row], columns: Columns) -> None:
    """Refuse to classify pairs that look like texts to be put in order by query."""
    if columns.text is None or columns.pair is None or usual_name(columns.text) not in _QUERIES:
        return
    queries = Counter(row.get(columns.text) for row in train)
    ranks = columns.query_id is not None or usual_name(columns.pair) in _FOUND
    if ranks and 2 * len(queries) <= len(train):
        raise ValueError(
            f"columns {columns.text!r} and {columns.pair!r} may be texts to put in order by query, "
            "or pairs to classify; say which: --task ranking or --task classification"
        )


def _check_whole(label: str, texts: list[str], fractions: bool) -> None:
    """Refuse whole numbers that are classes as likely as numbers."""
    different = sorted(set(texts), key=float)
    named = ", ".join(different[:_SHOWN]) + (", …" if len(different) > _SHOWN else "")
    if fractions:
        raise ValueError(f"column {label!r} holds whole numbers written as {named}, {_ONE_OF_TWO}")
    if _RATINGS & set(re.split(r"[\W_]+", label.lower())):
        raise ValueError(f"column {label!r} holds whole numbers ({named}), {_ONE_OF_TWO}")
    if len(different) > _MANY:
        raise ValueError(
            f"column {label!r} holds {len(different)} different whole numbers ({named}), "
            f"{_ONE_OF_TWO}"
        )


def _check_repeated(label: str, texts: list[str]) -> None:
    """Refuse classes of which no two rows have the same."""
    if len(texts) > _SOME and len(set(texts)) == len(texts):
        raise ValueError(
            f"column {label!r} has {len(texts)} different labels; is it the right column? Each row "
            "has one of its own, as ids have; name another --label, or say --task classification"
        )


def _unread(train: list[Row], chosen: Columns) -> list[str]:
    several = (chosen.label, chosen.negatives, chosen.scores)
    read = {chosen.text, chosen.pair, chosen.query_id}
    read |= {name for one in several if one is not None for name in one.split(",")}
    return [name for name in columns_in(train) if name not in read and name != chosen.label]


def _values(train: list[Row], column: str) -> list[Any]:
    """What some rows hold in a column, without what is missing."""
    found = [row.get(column) for row in train[:_SAMPLE]]
    return [value for value in found if value is not None and str(value).strip()]


def _holds_texts(train: list[Row], column: str) -> bool:
    """Whether most values are strings of several words, and few repeat."""
    values = _values(train, column)
    texts = [value for value in values if isinstance(value, str)]
    if 2 * len(texts) <= min(len(train), _SAMPLE):
        return False
    words = sum(len(text.split()) for text in texts)
    return words >= _WORDS * len(texts) and 2 * len(set(texts)) > len(texts)


def _may_be_labels(train: list[Row], column: str) -> bool:
    """Whether a column holds lists, numbers with fractions, or few values again and again."""
    values = _values(train, column)
    if any(isinstance(value, list) for value in values):
        return True
    texts = [str(value) for value in values]
    if texts and all(map(is_number, texts)) and not all(map(is_whole, texts)):
        return True
    return 2 <= len(set(texts)) <= len(texts) / 2


def _is_flag(train: list[Row], column: str) -> bool:
    return {str(value) for value in _values(train, column)} == {"0", "1"}


def _same(train: list[Row], first: str, second: str) -> bool:
    """Whether two columns say the same in other words: one value of the one per other value."""
    both = {(str(row.get(first)), str(row.get(second))) for row in train}
    return len(both) == len({one for one, _ in both}) == len({other for _, other in both})


def _listed(names: list[str]) -> str:
    shown = [repr(name) for name in names[:_SHOWN]]
    left = len(names) - len(shown)
    if left:
        return f"{', '.join(shown)} and {left} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
