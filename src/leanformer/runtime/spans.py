"""Labels of tokens to spans of text, in the BIO scheme.

    B-PER I-PER O   →   one PER span;  an I- of another type, or after O, begins a span of its own

The score of a span is the least probability among its words.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A named piece of a text.

    Attributes:
        label: Its type, without the B- or I-.
        start: Its first character.
        end: One past its last character.
        text: The piece itself.
        score: Probability between 0 and 1.
    """

    label: str
    start: int
    end: int
    text: str
    score: float


def spans_of(
    text: str,
    labels: Sequence[str],
    scores: Sequence[float],
    offsets: Sequence[tuple[int, int]],
) -> list[Span]:
    """The spans of `text`, given label, score and character offsets of each of its words."""
    groups: list[tuple[str, list[int]]] = []
    previous = ""
    for index, label in enumerate(labels):
        prefix, _, kind = label.rpartition("-")
        if label == "O":
            previous = ""
        elif prefix != "B" and previous == kind:
            groups[-1][1].append(index)
        else:
            groups.append((kind, [index]))
            previous = kind
        if prefix == "B":
            previous = kind
    return [_span(text, kind, members, scores, offsets) for kind, members in groups]


def _span(
    text: str,
    kind: str,
    members: list[int],
    scores: Sequence[float],
    offsets: Sequence[tuple[int, int]],
) -> Span:
    start, end = offsets[members[0]][0], offsets[members[-1]][1]
    return Span(kind, start, end, text[start:end], min(scores[index] for index in members))
