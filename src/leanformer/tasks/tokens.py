"""Token classification: one label per word, that of its first token; spans are read from the tags.

Legend: T token, C label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from leanformer.core.label_order import sort_labels
from leanformer.core.shown import shown
from leanformer.core.technique import technique
from leanformer.numerics.metrics import Metric, SpanF1
from leanformer.tasks.answers import equal_choices, spans_of
from leanformer.tasks.interface import Asked, Outputs, TaskKind
from leanformer.tasks.labels import IGNORE, LabelForm, index_of
from leanformer.text import Reading, word_tags
from leanformer.text.tags import Span


class TagPerWord(LabelForm):
    """A list of tags, one per word, kept as a list of indices."""

    dtype = "int64"

    def read(self, row: Mapping[str, Any], column: str) -> list[str]:
        """The tags, as many as there are words."""
        words, tags = row["words"], row[column]
        if len(words) != len(tags) or not words:
            raise ValueError(
                f"{len(words)} words and {len(tags)} tags; give one tag per word and at least one "
                "word"
            )
        return [str(tag) for tag in tags]

    def names(self, written: Sequence[Sequence[str]], column: str) -> tuple[str, ...]:
        """The tags that occur, sorted."""
        labels = sort_labels({tag for tags in written for tag in tags})
        if len(labels) < 2:
            raise ValueError(
                f"one tag only ({shown(labels[0])}); token classification needs two or more"
            )
        return labels

    def parse(self, written: Sequence[str], names: tuple[str, ...]) -> list[int]:
        """Their indices."""
        return [index_of(tag, names, "tag") for tag in written]

    def blank(self, width: int) -> list[int]:
        """IGNORE at each word."""
        return [IGNORE] * width

    def renumbered(self, label: Sequence[int], new: Sequence[int], count: int) -> list[int]:
        """The new index of each word."""
        return [new[index] for index in label]


@technique("tokens", paper="")
class TokenClassification(TaskKind):
    """One label per word: names in a text (NER), parts of speech."""

    metrics = ("span_f1",)
    head = "tokens"
    form = TagPerWord()
    reads_words = True
    output = "classes"
    per_token = True

    def metric(self, name: str, names: tuple[str, ...]) -> Metric:
        """Of lists of tag names."""
        return SpanF1()

    def answers(self, outputs: Outputs, asked: Asked) -> list[list[str]]:
        """The tag of each word, from the output of its first token."""
        assert asked.firsts is not None, "tags are judged by word"
        both = zip(outputs, asked.firsts, strict=True)
        return [word_tags(row, firsts, asked.names) for row, firsts in both]

    def right(self, asked: Asked) -> list[list[str]]:
        """The tag of each word."""
        assert asked.labels is not None
        return [[asked.names[index] for index in row] for row in asked.labels]

    def agreement(self, reference: Outputs, other: Outputs) -> float:
        """Share of tokens with equal labels."""
        return equal_choices(reference, other)

    def serve(
        self,
        outputs: Outputs,
        names: tuple[str, ...],
        texts: Sequence[str],
        readings: Sequence[Reading],
        thresholds: Sequence[float] = (),
    ) -> list[list[Span]]:
        """The spans of each text."""
        each = zip(texts, readings, outputs, strict=True)
        return [spans_of(text, reading, row, names) for text, reading, row in each]

    def plain(self, answer: list[Span]) -> dict[str, Any]:
        """The spans."""
        return {"spans": [asdict(span) for span in answer]}
