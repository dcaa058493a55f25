"""Batches of a prepared corpus: found by the number of the step, out of files mapped into memory.

    step -> rows (`data.corpus.order`) -> microbatches of rows of like length -> numpy copies

Nothing depends on what was asked for before, or on how many processes share a step. A batch of 32
rows of 512 tokens takes a few milliseconds.
"""

from typing import Any

import numpy as np

from leanformer.data import Batch
from leanformer.data.corpus.order import Indices, Order
from leanformer.data.corpus.packing import Packing
from leanformer.data.corpus.prepared import PreparedCorpus
from leanformer.models.packed import packs
from leanformer.tasks import kind_named
from leanformer.train.batches import Batches, overfull


class CorpusBatches(Batches):
    """The rows of a prepared corpus, in a new order each epoch.

    `at` may be called from several threads.

    Args:
        prepared: The corpus.
        max_tokens: Padded tokens per microbatch of a rank, which has one row at least.
        seed: Decides the order.
        batch_size: Rows per optimizer step; or
        batch_tokens: Targets per optimizer step, as near as whole rows allow; all steps of an epoch
            have equally many. A target is a token that is predicted (causal) or may be hidden
            (masked).
        ranks: How many share the rows of each microbatch (`train.ranks.count_ranks`).

    Raises:
        ValueError: Both or none of `batch_size` and `batch_tokens` are given, or a number is
            below 1.
    """

    def __init__(
        self,
        prepared: PreparedCorpus,
        *,
        max_tokens: int,
        seed: int,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        ranks: int = 1,
    ) -> None:
        if (batch_size is None) == (batch_tokens is None):
            raise ValueError("batch_size, batch_tokens: both say how large a step is; set one")
        asked = {"batch_size": batch_size, "batch_tokens": batch_tokens, "max_tokens": max_tokens}
        for name, value in asked.items():
            if value is not None and value < 1:
                raise ValueError(f"{name}: {value} is not at least 1")
        self.prepared, self.max_tokens, self.seed = prepared, max_tokens, seed
        self.batch_size, self.batch_tokens, self.ranks = batch_size, batch_tokens, ranks
        self._rows, plan, count = prepared.rows, prepared.rows.plan, len(prepared.rows)
        self.longest, self.epoch_tokens = plan.longest, plan.tokens
        steps = plan.targets / batch_tokens if batch_tokens else -(-count // (batch_size or 1))
        self.steps_per_epoch = min(count, max(1, round(steps)))
        self._order = Order(self._rows, seed, self.steps_per_epoch, batch_size)
        rows = min(batch_size or count, count)  # a batch of the shortest rows may have them all
        self.whole_tokens = rows * self.longest
        if rows == 1 or self.whole_tokens <= max_tokens:
            self.whole_tokens = 0

    def at(self, step: int) -> list[Batch]:
        """See `Batches.at`: the shortest rows first."""
        return [self._rows.batch(part) for part in self._parts(self._order.at(step))]

    def tokens(self, step: int) -> int:
        """Real tokens in the batch of `step`."""
        return int(self._rows.lengths(self._order.at(step)).sum())

    def targets(self, step: int) -> int:
        """Tokens in the batch of `step` that can be predicted."""
        return int(self._rows.targets(self._order.at(step)).sum())

    def state(self) -> dict[str, Any]:
        """See `Batches.state`: the order follows from the seed, so what the rows are is enough."""
        return {**self.identity(), "seed": self.seed}

    def restore(self, state: dict[str, Any]) -> None:
        """See `Batches.restore`."""
        if state != self.state():
            raise ValueError(f"the checkpoint is of other data: {state}, and not {self.state()}")

    def identity(self) -> dict[str, Any]:
        """The content of the rows, and how they are batched."""
        about = self.prepared.identity()
        return {
            "use": type(self).__name__,
            "examples": len(self._rows),
            "token_ids": about.pop("texts"),
            **about,
            "batch_size": self.batch_size,
            "batch_tokens": self.batch_tokens,
            "max_tokens": self.max_tokens,
        }

    def _parts(self, rows: Indices) -> list[Indices]:
        """The rows of a batch in microbatches of at most `max_tokens` padded tokens per rank."""
        lengths = self._rows.lengths(rows)
        order = np.argsort(lengths, kind="stable")
        rows, parts, begin = rows[order], [], 0
        for place, length in enumerate(lengths[order].tolist()):
            if overfull(place - begin + 1, length, self.max_tokens, self.ranks):
                parts.append(rows[begin:place])
                begin = place
        return [*parts, rows[begin:]]


def packing_for(
    model: Any, kind: str, asked: Packing = "packed", *, else_grouped: bool = False
) -> Packing:
    """How the rows of a corpus can be laid out for a model, which is tried.

    Args:
        model: The language model that will be trained.
        kind: "causal-lm" or "masked-lm".
        asked: What is wanted.
        else_grouped: Group rows by length where the model cannot keep packed documents apart,
            instead of refusing.

    Raises:
        ValueError: The model cannot keep packed documents apart.
    """
    if asked == "grouped" or packs(model, causal=kind_named(kind).predicts_next):
        return asked
    if not else_grouped:
        raise ValueError(
            f"packing: in {type(model).__name__} the documents of a row would see each other; set "
            'packing = "grouped", which gives each a row of its own among rows of like length'
        )
    return "grouped"
