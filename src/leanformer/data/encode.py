"""From texts to token ids, once; and from token ids to padded batches, each time.

Texts are tokenized when a run begins, so that a text that is too long is counted then and not in
the third epoch. A batch holds examples of like length: padding is work without result (on real
texts half of it).

Legend: B batch, T token.
"""

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leanformer.data.task import IGNORE, Examples, Kind


@dataclass(frozen=True)
class Batch:
    """Padded tensors for a model.

    Attributes:
        inputs: input_ids, attention_mask and token_type_ids where the model has them, each [B, T].
        labels: [B] classes or numbers, [B, T] word labels or hidden tokens with IGNORE elsewhere;
            or None.
        index: Which examples these are.
    """

    inputs: dict[str, Tensor]
    labels: Tensor | None
    index: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Real tokens, padding not counted."""
        return int(self.inputs["attention_mask"].sum())


@dataclass(frozen=True)
class Encoded:
    """Token ids of all examples.

    Attributes:
        rows: Model inputs an example, unpadded.
        labels: As in `Examples`, word labels spread over tokens (first piece of a word carries it).
        padding: Id that fills `input_ids`.
        truncated: How many texts were longer than the limit and were cut.
        kind: Kind of task, which decides the type of labels.
    """

    rows: list[dict[str, list[int]]]
    labels: list[Any] | None
    padding: int
    truncated: int
    kind: Kind

    def __len__(self) -> int:
        return len(self.rows)

    def length(self, index: int) -> int:
        """Tokens of one example."""
        return len(self.rows[index]["input_ids"])

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
        if self.kind in ("tokens", "masked-lm"):
            return torch.tensor([_padded(labels, width, IGNORE) for labels in chosen])
        return torch.tensor(chosen, dtype=torch.float if self.kind == "regression" else torch.long)


def encode_examples(examples: Examples, tokenizer: Any, kind: Kind, max_length: int) -> Encoded:
    """Token ids of `examples`, cut to `max_length` tokens; the number cut is kept in
    `truncated`."""
    spread = examples.words is not None
    limit = min(max_length, tokenizer.model_max_length)
    first: Any = examples.words if spread else examples.texts
    encoded = tokenizer(
        first, examples.pairs, is_split_into_words=spread, truncation=False, verbose=False
    )
    cut = [index for index, ids in enumerate(encoded["input_ids"]) if len(ids) > limit]
    if cut:
        encoded = tokenizer(
            first, examples.pairs, is_split_into_words=spread, truncation=True, max_length=limit
        )
    names = [name for name in tokenizer.model_input_names if name in encoded]
    if examples.pairs is None:
        names = [name for name in names if name != "token_type_ids"]
    rows = [{name: encoded[name][index] for name in names} for index in range(len(examples))]
    labels: list[Any] | None = None if examples.labels is None else list(examples.labels)
    if spread and labels is not None:
        labels = [_spread(labels[index], encoded.word_ids(index)) for index in range(len(examples))]
    return Encoded(rows, labels, tokenizer.pad_token_id or 0, len(cut), kind)


def by_length(encoded: Encoded, size: int) -> list[list[int]]:
    """Batches of `size` in order of length, for evaluation."""
    order = sorted(range(len(encoded)), key=encoded.length)
    return [order[start : start + size] for start in range(0, len(order), size)]


def shuffled(encoded: Encoded, size: int, seed: int, pool: int = 50) -> list[list[int]]:
    """Batches of `size` for one epoch: shuffled, then sorted by length within pools of `pool`
    batches."""
    rng = random.Random(seed)
    order = list(range(len(encoded)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), size * pool):
        part = sorted(order[start : start + size * pool], key=encoded.length)
        batches += [part[begin : begin + size] for begin in range(0, len(part), size)]
    rng.shuffle(batches)
    return batches


def _padded(ids: list[int], width: int, fill: int) -> list[int]:
    return ids + [fill] * (width - len(ids))


def _spread(labels: list[int], words: list[int | None]) -> list[int]:
    """Word labels on the first piece of each word."""
    previous = [None, *words[:-1]]
    return [
        IGNORE if word is None or word == before else labels[word]
        for word, before in zip(words, previous, strict=True)
    ]
