"""Relevance judgments and runs, in the formats of TREC and BEIR.

    qrels (TREC)    query 0 document grade                     white space between
    qrels (BEIR)    query-id <TAB> corpus-id <TAB> score       with this header line
    run (TREC)      query Q0 document rank score name          one line per document
    texts (BEIR)    {"_id": …, "title": …, "text": …}          corpus.jsonl and queries.jsonl

A grade of 0 or less means not relevant.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from leanformer.core.shown import shown
from leanformer.core.storage.files import write_text
from leanformer.data.corpus.lines import lines
from leanformer.data.formats.objects import json_line

Judgments = dict[str, dict[str, float]]
"""Query -> document -> grade."""
Run = Mapping[str, Sequence[tuple[str, float]]]
"""Query -> documents with their scores, the best first."""


def read_judgments(file: Path) -> Judgments:
    """The judgments in a file of TREC's or BEIR's format; which one its first line says.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line does not fit, a grade is not a number, a pair is judged twice, or there
            is no judgment; the line is named.
    """
    found: Judgments = {}
    for line in lines(file):
        place, fields = f"{file}:{line.number}", line.text.split()
        if not fields or (line.number == 1 and fields[-1].lower() == "score"):
            continue
        if len(fields) not in (3, 4):
            raise ValueError(
                f"{place}: {shown(line.text)} is neither `query 0 document grade` (TREC) nor "
                "`query document grade` (BEIR)"
            )
        query, document, grade = fields[0], fields[-2], _number(fields[-1], place, "grade")
        if document in found.setdefault(query, {}):
            raise ValueError(f"{place}: query {query!r} and document {document!r} stand here twice")
        found[query][document] = grade
    if not found:
        raise ValueError(f"{file}: no judgment in this file")
    return found


def read_run(file: Path) -> dict[str, list[tuple[str, float]]]:
    """The run in a file of TREC's format: query -> documents, in the order of their scores.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line does not fit, a score is not a number, or a document stands twice.
    """
    found: dict[str, dict[str, float]] = {}
    for line in lines(file):
        place, fields = f"{file}:{line.number}", line.text.split()
        if not fields:
            continue
        if len(fields) != 6:
            raise ValueError(
                f"{place}: {shown(line.text)} is not `query Q0 document rank score name`"
            )
        query, document, score = fields[0], fields[2], _number(fields[4], place, "score")
        if document in found.setdefault(query, {}):
            raise ValueError(f"{place}: document {document!r} stands twice for query {query!r}")
        found[query][document] = score
    return {
        query: sorted(scores.items(), key=lambda item: -item[1]) for query, scores in found.items()
    }


def write_run(file: Path, run: Run, name: str = "leanformer") -> None:
    """Write a run in TREC's format, which trec_eval and ir-measures read.

    Raises:
        ValueError: A name is empty or has white space, which separates the fields.
    """
    written = []
    for query, ranked in run.items():
        for rank, (document, score) in enumerate(ranked, 1):
            for one in (query, document, name):
                if len(one.split()) != 1 or one != one.strip():
                    raise ValueError(
                        f"{shown(one)}: a name in a TREC file has no white space and is not empty"
                    )
            written.append(f"{query} Q0 {document} {rank} {score!r} {name}\n")
    write_text(file, "".join(written))


def read_beir_texts(file: Path) -> dict[str, str]:
    """The texts in BEIR's corpus.jsonl or queries.jsonl, by id; a title stands before its text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is not such an object, or an id stands twice; the line is named.
    """
    found: dict[str, str] = {}
    for line in lines(file):
        if not line.text.strip():
            continue
        place = f"{file}:{line.number}"
        row = json_line(line.text, place)
        key, parts = row.get("_id"), [row.get("title", ""), row.get("text")]
        if not isinstance(key, str) or not all(isinstance(part, str) for part in parts):
            raise ValueError(f'{place}: not an object with the texts "_id" and "text"')
        if key in found:
            raise ValueError(f"{place}: _id {key!r} stands here twice")
        found[key] = " ".join(part for part in parts if part)
    return found


def _number(written: str, place: str, what: str) -> float:
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{place}: {what} {shown(written)} is not a number")
    return number
