"""Which examples each optimizer step sees, and in which microbatches they pass through the model.

    at(step) -> [microbatch, ...]        the batch of one step, whole in sum

A step is found by its number alone, so a training that is resumed looks its place up and replays
nothing. How long a training is may be said in epochs, in steps or in tokens; all three come down to
a number of steps here, because only the batches know how many examples and tokens a step has.
"""

import math
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from leanformer.core.identity.digest import chunks, digest
from leanformer.data import Batch, Encoded


@dataclass(frozen=True)
class Duration:
    """How long a training is.

    Attributes:
        amount: How much of the unit; only epochs may be a fraction.
        unit: Passes over the data, optimizer steps, or real tokens that the model reads.
    """

    amount: float
    unit: Literal["epoch", "step", "token"] = "epoch"


class Batches(ABC):
    """The interface of what feeds the loop: the batch of each step, in microbatches.

    Attributes:
        steps_per_epoch: Optimizer steps in one pass over the data.
        longest: Tokens of the longest example.
        epoch_tokens: Real tokens in one pass over the data.
        whole_tokens: Padded tokens that a microbatch must be allowed to hold for every batch to
            stay whole; 0 where they all are whole already.
    """

    steps_per_epoch: int
    longest: int
    epoch_tokens: int
    whole_tokens: int

    @abstractmethod
    def at(self, step: int) -> list[Batch]:
        """The microbatches of `step` (0-based), whatever was asked for before."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold to go on, beside the number of the step; JSON."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: It is of other data.
        """

    def identity(self) -> dict[str, Any]:
        """What tells these data from others, as JSON values; a digest stands for what is large."""
        return {
            "use": type(self).__name__,
            "steps_per_epoch": self.steps_per_epoch,
            "tokens": self.epoch_tokens,
        }

    def steps(self, duration: Duration) -> int:
        """Optimizer steps of a training that lasts `duration`, at least 1."""
        if duration.unit == "step":
            return int(duration.amount)
        if duration.unit == "epoch":
            return max(1, round(duration.amount * self.steps_per_epoch))
        epochs, left = divmod(int(duration.amount), self.epoch_tokens)
        steps = epochs * self.steps_per_epoch
        while left > 0:
            left -= self.tokens(steps)
            steps += 1
        return steps

    def epochs(self, duration: Duration) -> float:
        """Passes over the data in `duration`, a fraction."""
        if duration.unit == "epoch":
            return duration.amount
        return self.steps(duration) / self.steps_per_epoch

    def require_whole(self, loss: str) -> None:
        """Refuse batches that may come in parts, for a loss that compares their examples.

        Raises:
            ValueError: A batch may come in parts; the message says at what size none does.
        """
        if self.whole_tokens:
            raise ValueError(
                f"max_tokens_per_microbatch: batches may be split, and {loss} compares the "
                f"examples of a batch with each other, so that its parts do not add up; set it to "
                f"{self.whole_tokens}, or lower batch_size"
            )

    def tokens(self, step: int) -> int:
        """Real tokens in the batch of `step`."""
        return sum(part.tokens for part in self.at(step))


class ShuffledBatches(Batches):
    """Examples in a new order each epoch, those of like length together.

    Args:
        encoded: The examples.
        batch_size: Examples per optimizer step.
        max_tokens: Padded tokens per microbatch of a rank, which has one example at least.
        seed: Decides the order.
        ranks: How many share the rows of each microbatch.
    """

    def __init__(
        self, encoded: Encoded, *, batch_size: int, max_tokens: int, seed: int, ranks: int = 1
    ) -> None:
        self.encoded, self.batch_size, self.max_tokens = encoded, batch_size, max_tokens
        self.seed, self.ranks = seed, ranks
        self.steps_per_epoch = math.ceil(len(encoded) / batch_size)
        lengths = [encoded.length(index) for index in range(len(encoded))]
        self.longest, self.epoch_tokens = max(lengths), sum(lengths)
        rows = min(batch_size, len(encoded))
        self.whole_tokens = rows * self.longest
        if rows == 1 or self.whole_tokens <= max_tokens:
            self.whole_tokens = 0
        self._order: tuple[int, list[list[int]]] = (-1, [])

    def at(self, step: int) -> list[Batch]:
        """See `Batches.at`: the shortest examples first."""
        parts = in_parts(self.encoded, self._examples(step), self.max_tokens, self.ranks)
        return [self.encoded.batch(part) for part in parts]

    def tokens(self, step: int) -> int:
        """Real tokens in the batch of `step`."""
        return sum(map(self.encoded.length, self._examples(step)))

    def state(self) -> dict[str, Any]:
        """See `Batches.state`: the order follows from the seed, so what the data are is enough."""
        return {"examples": len(self.encoded), "tokens": self.epoch_tokens, "seed": self.seed}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Batches.restore`."""
        if state != self.state():
            raise ValueError(f"the checkpoint is of other data: {state}, and not {self.state()}")

    def identity(self) -> dict[str, Any]:
        """The content of the examples, and how they are batched."""
        rows, labels = self.encoded.rows, self.encoded.labels
        return {
            "examples": len(self.encoded),
            "token_ids": digest(chunks(rows), self.encoded.padding, self.encoded.kind),
            "labels": digest([] if labels is None else chunks(labels)),
            "batch_size": self.batch_size,
            "max_tokens": self.max_tokens,
        }

    def _examples(self, step: int) -> list[int]:
        """The examples of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._order[0]:
            seed = self.seed * 100_003 + epoch
            self._order = epoch, shuffled(self.encoded, self.batch_size, seed)
        return self._order[1][place]


def shuffled(encoded: Encoded, size: int, seed: int, pool: int = 50) -> list[list[int]]:
    """Batches of `size` for one epoch: shuffled, then sorted by length within pools of `pool`
    batches.
    """
    rng = random.Random(seed)
    order = list(range(len(encoded)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), size * pool):
        part = sorted(order[start : start + size * pool], key=encoded.length)
        batches += [part[begin : begin + size] for begin in range(0, len(part), size)]
    rng.shuffle(batches)
    return batches


def in_parts(
    encoded: Encoded, indices: list[int], max_tokens: int, ranks: int = 1
) -> list[list[int]]:
    """The examples of a batch in parts of at most `max_tokens` padded tokens per rank.

    A rank has one example at least. The shortest come first, so that padding is small.
    """
    parts: list[list[int]] = [[]]
    for index in sorted(indices, key=encoded.length):
        if overfull(len(parts[-1]) + 1, encoded.length(index), max_tokens, ranks):
            parts.append([])
        parts[-1].append(index)
    return parts


def overfull(rows: int, length: int, max_tokens: int, ranks: int) -> bool:
    """Whether so many rows of a length are too many for one microbatch: the rank with most of them
    would have several, and more than `max_tokens` padded tokens.
    """
    most = -(-rows // ranks)
    return most > 1 and most * length > max_tokens
