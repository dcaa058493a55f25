"""Which columns of a file are text, second text, label and query: asked for, or found by name.

The usual names are tried in order, in any case, so that most files need no option.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from leanformer.core.shown import one_line
from leanformer.core.technique import nearest
from leanformer.data.rows import Row
from leanformer.tasks import TaskKind

_FIRST = ("text", "sentence", "text1", "sentence1", "premise", "question", "question1", "query")
_SIDES = ("text_a", "sentence_a")
_SINGLE = ("utterance", "content", "review", "review_body", "tweet", "comment", "comment_text")
_LAST = ("message", "body", "headline", "abstract", "description", "title", "document", "passage")
TEXT = (*_FIRST, *_SIDES, *_SINGLE, *_LAST)
"""The usual names of a column of texts."""
_SECOND = ("pair", "text2", "sentence2", "hypothesis", "question2", "text_b", "sentence_b")
_PAIR = (*_SECOND, "passage", "document")
_QUERY = ("query", "question")
_TEXT_OF_QUERY = (*_PAIR, "answer", "text", "sentence", "content")
_ANCHOR, _POSITIVE = ("anchor",), ("positive",)
_QUERY_ID = ("query_id", "qid")
LABEL = (
    *("label", "labels", "gold_label", "score", "intent", "category", "target", "coarse"),
    *("coarse_label", "fine_label", "class", "sentiment", "emotion", "topic", "polarity"),
    *("stars", "rating", "star_rating", "similarity_score", "relatedness_score"),
)
"""The usual names of a column of labels."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns to use; None = found by their usual names.

    Attributes:
        kind: Kind of task; None = told from the columns.
        text: Column of the text.
        pair: Column of the second text.
        label: Column of the label, or several with commas between them where a task reads such.
        query_id: Column of the query's id.
        negatives: Columns of texts that do not belong to the text of their row, with commas
            between them; only where vectors are learned.
        scores: Columns of a teacher's scores, likewise.
        metric: What the task is judged by; None = the default of its kind.
    """

    kind: str | None = None
    text: str | None = None
    pair: str | None = None
    label: str | None = None
    query_id: str | None = None
    negatives: str | None = None
    scores: str | None = None
    metric: str | None = None


def usual_name(column: str) -> str:
    """How the lists of usual names would write a column: "Query-ID" is query_id."""
    return column.strip().lower().replace("-", "_").replace(" ", "_")


def found_column(usual: Sequence[str], present: Sequence[str], option: str) -> str | None:
    """The column with the first of the usual names, in any case.

    Args:
        usual: The names, the likeliest first.
        present: The columns.
        option: Which option names another one, e.g. "--text".

    Raises:
        ValueError: Two columns have the name.
    """
    named: dict[str, list[str]] = {}
    for column in present:
        named.setdefault(usual_name(column), []).append(column)
    found = next((named[name] for name in usual if name in named), [None])
    if len(found) > 1:
        raise ValueError(
            f"columns {found[0]!r} and {found[1]!r} are named alike but for their case; say which: "
            f"{option} {found[0]}"
        )
    return found[0]


def columns_in(rows: list[Row]) -> list[str]:
    """The columns of any of the rows, in the order in which they come up."""
    return list(dict.fromkeys(chain.from_iterable(rows)))


def choose_columns(present: list[str], columns: Columns, about: TaskKind | None = None) -> Columns:
    """The columns to read, asked for or found.

    Args:
        present: The columns of the training split.
        columns: What was asked for.
        about: The task, where it was asked for.

    Raises:
        ValueError: A column is missing, or the task needs one that is not recognised.
    """
    several = about is not None and about.form is not None and about.form.several
    for field in ("text", "pair", "label", "query_id"):
        asked = getattr(columns, field)
        if asked is None or asked in present:
            continue
        for name in asked.split(",") if field == "label" and several else [asked]:
            if name not in present:
                raise ValueError(
                    f"--{field.replace('_', '-')} {asked}: there is no such column"
                    f"{nearest(name, present)}; there are: {one_line(', '.join(present), 200)}"
                )
    text, pair = _texts(present, columns, about)
    label = columns.label or found_column(LABEL, present, "--label")
    if label is None and several:
        label = ",".join(name for name in present if name not in (text, pair))
    if not label and about is not None and about.form is not None and not about.reads_words:
        raise ValueError(
            f"no column of labels is recognised among {one_line(', '.join(present), 200)}; "
            "name it: --label"
        )
    query_id = columns.query_id
    if about is not None and about.grouped and query_id is None:
        query_id = found_column(_QUERY_ID, present, "--query-id")
    return Columns(
        text=text,
        pair=pair,
        label=label,
        query_id=query_id,
        negatives=columns.negatives,
        scores=columns.scores,
    )


def _texts(present: list[str], columns: Columns, about: TaskKind | None) -> tuple[str, str | None]:
    """The columns of the text and of the second one."""
    needed = about is not None and about.pairs == "needed"
    usual: tuple[str, ...]
    second: tuple[str, ...]
    usual, second = ((*_QUERY, *TEXT), _TEXT_OF_QUERY) if needed else (TEXT, _PAIR)
    if about is not None and about.pairs == "split":
        usual, second = (*_ANCHOR, *TEXT), (*_POSITIVE, *_PAIR)
    text = columns.text or found_column(usual, present, "--text")
    if text is None:
        raise ValueError(
            f"no column of text is recognised among {one_line(', '.join(present), 200)}; name "
            "it: --text, and "
            "--pair where there is a second one"
        )
    found = found_column(second, [name for name in present if name != text], "--pair")
    pair = columns.pair or (None if columns.text and not needed else found)
    if needed and pair is None:
        raise ValueError(
            f"ranking reads a query and a text, and no column of texts is recognised beside "
            f"{text!r} among {one_line(', '.join(present), 200)}; name it: --pair"
        )
    return text, pair
