"""From texts to token ids, once; and from token ids to padded batches, each time.

Texts are tokenized when a run begins, so that a text that is too long is counted then and not in
the third epoch. A batch holds examples of like length: padding is work without result (on real
texts half of it).

Legend: B batch, T token.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from leanformer.core.machine.device import inputs_on, move
from leanformer.data.task import Examples
from leanformer.tasks import IGNORE, kind_named
from leanformer.text import Reading, reader_of
from leanformer.text.texts import repair


@dataclass(frozen=True)
class Batch:
    """Padded tensors for a model.

    Attributes:
        inputs: input_ids, attention_mask and token_type_ids where the model has them, each [B, T].
        labels: [B] classes or numbers, [B, T] word labels or hidden tokens with IGNORE elsewhere;
            or None.
        index: Which examples these are.
        lanes: [B] the place of each row in the batch of its step, where a step hands something on
            to the next: the row of the same lane goes on from there. None = nothing is handed on.
        begins: [B] True where a lane begins anew with this row; None = nowhere.
    """

    inputs: dict[str, Tensor]
    labels: Tensor | None
    index: tuple[int, ...]
    lanes: Tensor | None = None
    begins: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on `device`, moved as `core.machine.device.move` does."""
        labels, lanes, begins = (
            None if tensor is None else move(tensor, device)
            for tensor in (self.labels, self.lanes, self.begins)
        )
        inputs = inputs_on(device, self.inputs)
        return replace(self, inputs=inputs, labels=labels, lanes=lanes, begins=begins)

    def take(self, rows: list[int]) -> "Batch":
        """Some of its rows, in that order, as wide as they are."""
        labels, lanes, begins = (
            None if tensor is None else tensor[rows]
            for tensor in (self.labels, self.lanes, self.begins)
        )
        inputs = {name: tensor[rows] for name, tensor in self.inputs.items()}
        index = tuple(self.index[row] for row in rows)
        return Batch(inputs, labels, index, lanes, begins)

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return int(self.inputs["attention_mask"].sum())


@dataclass(frozen=True)
class Words:
    """The words of one example of a task that labels words.

    Attributes:
        firsts: The first token of each word; None where the word was cut off or has no token.
        labels: The label of each word.
    """

    firsts: tuple[int | None, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Encoded:
    """Token ids of all examples.

    Attributes:
        rows: Model inputs per example, unpadded.
        labels: As in `Examples`, word labels spread over tokens (the first token of a word carries
            it, the others IGNORE); where the next token is predicted, that token.
        padding: Id that fills `input_ids`.
        truncated: How many texts were longer than the limit and were cut.
        kind: Kind of task, which decides the type of labels.
        words: For tokens, the words that are judged; words that were cut off count too.
        groups: The query of each example, where texts are ranked by query.
    """

    rows: list[dict[str, list[int]]]
    labels: list[Any] | None
    padding: int
    truncated: int
    kind: str
    words: list[Words] | None = None
    groups: list[str] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def length(self, index: int) -> int:
        """Tokens of one example."""
        return len(self.rows[index]["input_ids"])

    def take(self, indices: list[int]) -> "Encoded":
        """The examples at `indices`, in that order."""
        labels, words, groups = self.labels, self.words, self.groups
        return replace(
            self,
            rows=[self.rows[index] for index in indices],
            labels=None if labels is None else [labels[index] for index in indices],
            words=None if words is None else [words[index] for index in indices],
            groups=None if groups is None else [groups[index] for index in indices],
        )

    def batch(self, indices: list[int]) -> Batch:
        """The examples at `indices`, padded to the longest of them."""
        width = max(self.length(index) for index in indices)
        names = self.rows[indices[0]].keys()
        fill = {"input_ids": self.padding}
        inputs = {
            name: torch.tensor(
                [_padded(self.rows[index][name], width, fill.get(name, 0)) for index in indices]
            )
            for name in names
        }
        return Batch(inputs, self._labels(indices, width), tuple(indices))

    def _labels(self, indices: list[int], width: int) -> Tensor | None:
        if self.labels is None:
            return None
        chosen = [self.labels[index] for index in indices]
        about = kind_named(self.kind)
        if about.per_token:
            return torch.tensor([_padded(labels, width, IGNORE) for labels in chosen])
        assert about.form is not None, "a task with labels says how they are kept"
        return torch.tensor(chosen, dtype=getattr(torch, about.form.dtype))


def encode_examples(examples: Examples, tokenizer: Any, kind: str, max_length: int) -> Encoded:
    """Token ids of `examples`, read as a served model reads them.

    Args:
        examples: The texts, pairs or words.
        tokenizer: A fast transformers tokenizer.
        kind: Kind of task.
        max_length: Longer texts are cut to this many tokens, or to fewer where the model reads
            fewer; `truncated` counts them.
    """
    reader = reader_of(tokenizer, max_length)
    if examples.words is None:
        readings = reader.read(
            [repair(text) for text in examples.texts],
            None if examples.pairs is None else [repair(text) for text in examples.pairs],
            parallel=True,
        )
    else:
        words = [[repair(word) for word in sentence] for sentence in examples.words]
        readings = reader.read_words(words, parallel=True)
    types = examples.pairs is not None and reader.tells_types
    labels: list[Any] | None = None if examples.labels is None else list(examples.labels)
    judged = None
    if examples.words is not None and labels is not None:
        judged = [Words(r.firsts, tuple(own)) for r, own in zip(readings, labels, strict=True)]
        labels = [_spread(words, len(r.ids)) for words, r in zip(judged, readings, strict=True)]
    elif kind_named(kind).predicts_next:
        labels = [next_tokens(reading.ids) for reading in readings]
    rows = [_row(reading, types) for reading in readings]
    cut = sum(reading.cut for reading in readings)
    return Encoded(rows, labels, reader.pad_id, cut, kind, judged, examples.groups)


def next_tokens(ids: list[int]) -> list[int]:
    """The label of each token of a text where the next one is predicted; the last has none."""
    return [*ids[1:], IGNORE]


def by_length(encoded: Encoded, size: int) -> list[list[int]]:
    """Batches of `size` in order of length, for evaluation."""
    order = sorted(range(len(encoded)), key=encoded.length)
    return [order[start : start + size] for start in range(0, len(order), size)]


def _padded(ids: list[int], width: int, fill: int) -> list[int]:
    return ids + [fill] * (width - len(ids))


def _row(reading: Reading, types: bool) -> dict[str, list[int]]:
    """Model inputs of one example."""
    row = {"input_ids": reading.ids, "attention_mask": [1] * len(reading.ids)}
    return row | {"token_type_ids": reading.types} if types else row


def _spread(words: Words, tokens: int) -> list[int]:
    """Word labels on the first token of each word."""
    labels = [IGNORE] * tokens
    for first, label in zip(words.firsts, words.labels, strict=True):
        if first is not None:
            labels[first] = label
    return labels
