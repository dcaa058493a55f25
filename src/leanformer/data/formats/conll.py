"""Sentences with a tag per word: one word per line, a blank line between sentences.

    EU      NNP  B-ORG          the word is the first column, the tag the last one
    1  Der  der  DET  ART  …    CoNLL-U: the word is FORM; UPOS and XPOS are columns of tags

Columns are separated by tabs, or by spaces where a line has no tab. Every line has as many as the
first one: a line with fewer has lost its tag. These are not words: `-DOCSTART-` between documents,
comments (lines that begin with # and have another number of columns, or say "# key = value"), and
in CoNLL-U the lines of multiword tokens (1-2) and empty nodes (1.1).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from leanformer.core.shown import shown
from leanformer.data.formats.text_file import lines_of
from leanformer.data.rows import Row

_DOCUMENT = "-DOCSTART-"
_SAID = re.compile(r"#\s*[\w.:-]+\s*=\s")
_UNIVERSAL = 10  # columns of CoNLL-U
_FORM, _UPOS, _XPOS = 1, 3, 4
_ID, _NOT_A_WORD = re.compile(r"\d+([-.]\d+)?"), re.compile(r"\d+[-.]\d+")

_Line = tuple[int, list[str]]


def tagged_words(text: str, path: Path) -> list[Row]:
    """One row per sentence: lists of words and tags.

    Raises:
        ValueError: A line has no tag or another number of columns, or the first column counts.
    """
    lines = [(number, _columns(line)) for number, line in enumerate(lines_of(text), 1)]
    source = f"{path}:"
    sentences = list(_sentences(lines, source))
    first = next((fields for sentence in sentences for _, fields in sentence), [])
    if len(first) == _UNIVERSAL and all(_ID.fullmatch(f[0]) for s in sentences for _, f in s):
        return _universal(sentences, source)
    if _counted(sentences):
        raise ValueError(
            f"{source}{sentences[0][0][0]}: the first column counts the words; it holds the word, "
            f"so remove the numbers: cut -f2- {path.name}"
        )
    return [
        Row(
            {"words": [fields[0] for _, fields in own], "tags": [fields[-1] for _, fields in own]},
            source,
            own[0][0],
        )
        for own in sentences
    ]


def _columns(line: str) -> list[str]:
    line = line.strip()
    return [field.strip() for field in line.split("\t")] if "\t" in line else line.split()


def _sentences(lines: list[_Line], source: str) -> Iterator[list[_Line]]:
    """The lines of each sentence, without comments and marks.

    Raises:
        ValueError: A line has no tag, or another number of columns than the first one.
    """
    words = ((n, f) for n, f in lines if f and f[0] != _DOCUMENT and not f[0].startswith("#"))
    first, width = next(((number, len(fields)) for number, fields in words), (0, 0))
    sentence: list[_Line] = []
    for number, fields in [*lines, (0, [])]:
        if not fields or fields[0] == _DOCUMENT:
            if sentence:
                yield sentence
            sentence = []
        elif not _is_comment(fields, width):
            if len(fields) < 2 or not fields[-1]:
                line = shown(" ".join(fields))
                raise ValueError(f"{source}{number}: {line} has no tag; write token<TAB>tag")
            if len(fields) != width:
                raise ValueError(
                    f"{source}{number}: {len(fields)} columns where line {first} has {width}; "
                    "the tag is the last one"
                )
            sentence.append((number, fields))


def _is_comment(fields: list[str], width: int) -> bool:
    if not fields[0].startswith("#"):
        return False
    return len(fields) != width or _SAID.match(" ".join(fields)) is not None


def _universal(sentences: list[list[_Line]], source: str) -> list[Row]:
    """The sentences of a CoNLL-U file."""
    rows = []
    for sentence in sentences:
        own = [fields for _, fields in sentence if not _NOT_A_WORD.fullmatch(fields[0])]
        columns = {"words": _FORM, "upos": _UPOS, "xpos": _XPOS}
        values = {name: [fields[place] for fields in own] for name, place in columns.items()}
        rows.append(Row(values, source, sentence[0][0]))
    return rows


def _counted(sentences: list[list[_Line]]) -> bool:
    """Whether the words of every sentence are 1, 2, 3, … and one has two or more."""
    return any(len(own) > 1 for own in sentences) and all(
        fields[0] == str(place) for own in sentences for place, (_, fields) in enumerate(own, 1)
    )
