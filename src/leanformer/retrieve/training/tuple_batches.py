"""Batches of tuples for the one loop: the texts of a batch, each once, and the tuples over them.

Tuples of an objective that adds up over parts come in microbatches, tuples of like length together.
An objective that compares tuples with each other gets each batch whole and in a plain shuffle
(texts of one length would be told apart by little else); its loss encodes the batch in parts.

Legend: U text, B tuple, C column.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from leanformer.core.identity.digest import chunks, digest
from leanformer.core.machine.device import inputs_on, move
from leanformer.data import Batch
from leanformer.retrieve.training.tuples import Tuples
from leanformer.train.batches import Batches, overfull

_POOL = 50  # batches that are sorted by length together


@dataclass(frozen=True)
class TupleBatch(Batch):
    """A batch whose rows are texts and whose examples are tuples of them; `index` names tuples.

    Attributes:
        places: [B, C] the row of each text of a tuple, -1 where it has fewer.
        targets: What the data say of each tuple, [B] or [B, C - 1]; or None.
        excluded: [B, U] True where a text is no negative of a tuple; or None.
    """

    places: Tensor | None = None
    targets: Tensor | None = None
    excluded: Tensor | None = None

    def to(self, device: torch.device) -> "TupleBatch":
        """See `Batch.to`."""
        places, targets, excluded = (
            None if tensor is None else move(tensor, device)
            for tensor in (self.places, self.targets, self.excluded)
        )
        inputs = inputs_on(device, self.inputs)
        return replace(self, inputs=inputs, places=places, targets=targets, excluded=excluded)

    def take(self, rows: list[int]) -> "TupleBatch":
        """Some of its tuples, in that order, with their texts."""
        assert self.places is not None
        places = self.places[rows]
        texts = places[places >= 0].unique()
        new = torch.full((len(self.inputs["input_ids"]),), -1)
        new[texts] = torch.arange(len(texts))
        return TupleBatch(
            {name: tensor[texts] for name, tensor in self.inputs.items()},
            None,
            tuple(self.index[row] for row in rows),
            places=torch.where(places >= 0, new[places.clamp(min=0)], -1),
            targets=None if self.targets is None else self.targets[rows],
            excluded=None if self.excluded is None else self.excluded[rows][:, texts],
        )


class TupleBatches(Batches):
    """Tuples in a new order each epoch.

    Args:
        tuples: The training tuples.
        batch_size: Tuples per optimizer step.
        max_tokens: Padded tokens per microbatch of a rank, where batches may come in parts.
        seed: Decides the order.
        whole: Whether each batch comes whole.
        exclude: Whether batches say which texts are no negatives.
        ranks: How many share the tuples of each microbatch.
    """

    def __init__(
        self,
        tuples: Tuples,
        *,
        batch_size: int,
        max_tokens: int,
        seed: int,
        whole: bool = False,
        exclude: bool = False,
        ranks: int = 1,
    ) -> None:
        self.tuples, self.batch_size, self.max_tokens = tuples, batch_size, max_tokens
        self.seed, self.whole, self.exclude, self.ranks = seed, whole, exclude, ranks
        self.steps_per_epoch = math.ceil(len(tuples) / batch_size)
        texts = tuples.texts
        self._lengths = [texts.length(index) for index in range(len(texts))]
        self._longest = [max(self._lengths[text] for text in own) for own in tuples.places]
        self.longest = max(self._lengths)
        self.epoch_tokens = self._tokens(range(len(tuples)))
        self.whole_tokens = 0  # those that must be whole are
        self._order: tuple[int, list[list[int]]] = (-1, [])

    def at(self, step: int) -> list[Batch]:
        """See `Batches.at`: the tuples of the shortest texts first."""
        return [self.batch(part) for part in self._parts(self._tuples(step))]

    def tokens(self, step: int) -> int:
        """Real tokens of the tuples of `step`; a text that several share counts for each."""
        return self._tokens(self._tuples(step))

    def batch(self, members: Sequence[int]) -> TupleBatch:
        """These tuples as one batch, its texts in the order of their lengths."""
        own = [self.tuples.places[member] for member in members]
        texts = sorted({text for row in own for text in row}, key=lambda one: self._lengths[one])
        row_of = {text: row for row, text in enumerate(texts)}
        width = max(map(len, own))
        places = [[*(row_of[text] for text in row), *[-1] * (width - len(row))] for row in own]
        inputs = self.tuples.texts.batch(texts).inputs
        return TupleBatch(
            inputs,
            None,
            tuple(members),
            places=torch.tensor(places),
            targets=self._targets(members, width),
            excluded=self._excluded(own, row_of) if self.exclude else None,
        )

    def state(self) -> dict[str, Any]:
        """See `Batches.state`: the order follows from the seed."""
        return {"tuples": len(self.tuples), "tokens": self.epoch_tokens, "seed": self.seed}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Batches.restore`."""
        if state != self.state():
            raise ValueError(f"the checkpoint is of other data: {state}, and not {self.state()}")

    def identity(self) -> dict[str, Any]:
        """The content of the tuples, and how they are batched."""
        texts, targets = self.tuples.texts, self.tuples.targets
        return {
            "examples": len(self.tuples),
            "token_ids": digest(chunks(texts.rows), texts.padding, texts.kind),
            "tuples": digest(chunks(self.tuples.places)),
            "labels": digest([] if targets is None else chunks(targets)),
            "batch_size": self.batch_size,
            "max_tokens": self.max_tokens,
        }

    def _tokens(self, members: Iterable[int]) -> int:
        return sum(self._lengths[text] for one in members for text in self.tuples.places[one])

    def _targets(self, members: Sequence[int], width: int) -> Tensor | None:
        if self.tuples.targets is None:
            return None
        found = [self.tuples.targets[member] for member in members]
        if isinstance(found[0], tuple):  # a teacher's scores, one per text but the anchor
            return torch.tensor([[*own, *[0.0] * (width - 1 - len(own))] for own in found])
        kind = torch.int64 if isinstance(found[0], int) else torch.float32
        return torch.tensor(found, dtype=kind)

    def _excluded(self, own: list[tuple[int, ...]], row_of: dict[int, int]) -> Tensor:
        found = torch.zeros(len(own), len(row_of), dtype=torch.bool)
        for number, (anchor, *_) in enumerate(own):
            rows = [row_of[text] for text in self.tuples.belongs[anchor] if text in row_of]
            found[number, rows] = True
        return found

    def _parts(self, members: list[int]) -> list[list[int]]:
        """The tuples of a batch in microbatches."""
        if self.whole:
            return [members]
        parts: list[list[int]] = [[]]
        texts: set[int] = set()
        for member in sorted(members, key=self._longest.__getitem__):
            wider = texts | set(self.tuples.places[member])
            if parts[-1] and overfull(
                len(wider), self._longest[member], self.max_tokens, self.ranks
            ):
                parts.append([])
                wider = set(self.tuples.places[member])
            parts[-1].append(member)
            texts = wider
        return parts

    def _tuples(self, step: int) -> list[int]:
        """The tuples of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._order[0]:
            self._order = epoch, self._shuffled(self.seed * 100_003 + epoch)
        return self._order[1][place]

    def _shuffled(self, seed: int) -> list[list[int]]:
        """The batches of one epoch."""
        chance, size = random.Random(seed), self.batch_size
        order = list(range(len(self.tuples)))
        chance.shuffle(order)
        if not self.whole:
            pool = size * _POOL
            starts = range(0, len(order), pool)
            sorted_ = [
                sorted(order[at : at + pool], key=self._longest.__getitem__) for at in starts
            ]
            order = [member for part in sorted_ for member in part]
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        chance.shuffle(batches)
        return batches
