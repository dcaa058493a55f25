"""Tags of words and the spans that they mark, read alike by metric and predictor.

    BIO         B-PER I-PER O          a span begins at B-, goes on at I-
    BIOES       S-PER  B-LOC E-LOC     S- is a span of one word, E- the last word of a longer one
    BILOU       U-PER  B-LOC L-LOC     the same with U- and L-
    untyped     B I O                  spans of the type ""
    plain       PER PER O              equal neighbours are one span

The type is all that follows the first hyphen ("B-job-title" begins a job-title). An I-, E- or L-
that continues nothing begins a span, as conlleval counts. "O" is outside of every span.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTSIDE = "O"
_BEGIN, _INSIDE, _END, _SINGLE = "B", "IM", "EL", "SU"
_PREFIXES = _BEGIN + _INSIDE + _END + _SINGLE

Entity = tuple[int, int, str]


@dataclass(frozen=True)
class Span:
    """A named piece of a text.

    Attributes:
        label: Its type, without the prefix of the tag scheme.
        start: Its first character.
        end: One past its last character.
        text: The piece itself.
        score: The least probability among its words, between 0 and 1.
    """

    label: str
    start: int
    end: int
    text: str
    score: float


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix and type of a tag: ("B", "PER"); ("", "PER") of a plain one, ("O", "") outside."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if tag[:1] in _PREFIXES and (len(tag) == 1 or tag[1] == "-"):
        return tag[:1], tag[2:]
    return "", tag


def entities(tags: Sequence[str]) -> list[Entity]:
    """Entities (first word, one past the last, type) of the tags of a sentence."""
    found: list[Entity] = []
    start, kind, ended = -1, "", False
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, name = split_tag(tag)
        goes_on = start >= 0 and not ended and name == kind and prefix in ("", *_INSIDE, *_END)
        goes_on = goes_on and (prefix == "") == (split_tag(tags[start])[0] == "")
        if start >= 0 and not goes_on:
            found.append((start, place, kind))
            start = -1
        if prefix != OUTSIDE and not goes_on:
            start, kind = place, name
        ended = prefix in (*_END, *_SINGLE)
    return found


def word_tags(
    outputs_TL: NDArray[np.float32], firsts: Sequence[int | None], labels: Sequence[str]
) -> list[str]:
    """The tag of each word: that of its first token, "O" for words that were not read.

    Args:
        outputs_TL: Logits by token and label.
        firsts: The first token of each word; None where it was cut off or has none.
        labels: Names of the labels.
    """
    best_T = outputs_TL.argmax(-1)
    return [OUTSIDE if first is None else labels[int(best_T[first])] for first in firsts]


def spans(
    text: str,
    tags: Sequence[str],
    scores: Sequence[float],
    places: Sequence[tuple[int, int]],
) -> list[Span]:
    """The spans of `text`, given tag, probability and characters of each of its words."""
    found = []
    for first, last, kind in entities(tags):
        start, end = places[first][0], places[last - 1][1]
        found.append(Span(kind, start, end, text[start:end], min(scores[first:last])))
    return found
