"""Rows of a prepared corpus as batches: numpy copies out of the mapped files, no loop over tokens.

    row          [ a b c $ | d e $ | f g ]        $ the end token, | where a piece begins
    position       0 1 2 3   0 1 2   0 1
    label          b c $ -   e $ -   g h          - none; h, the next token, stands in another row

Rows of masked models say which piece a token is of instead (`segment_ids`, 1 and up, 0 at padding);
`models.packed.model_inputs` makes the block-diagonal mask of it. `attention_mask` is [B, T] and
counts real tokens in both.

Legend: B batch, T token.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from leanformer.data.corpus.packing import Plan
from leanformer.data.corpus.token_file import TokenFile
from leanformer.data.encode import Batch
from leanformer.tasks import IGNORE


@dataclass(frozen=True)
class Rows:
    """The rows of one split.

    Attributes:
        tokens: The token ids.
        plan: Which of them are in which row.
        before: Ids before each piece.
        after: Ids after it.
        padding: Id that fills short rows.
    """

    tokens: TokenFile
    plan: Plan
    before: tuple[int, ...]
    after: tuple[int, ...]
    padding: int

    def __len__(self) -> int:
        return len(self.plan.rows)

    def lengths(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of some rows, special ones included."""
        return self.plan.rows["tokens"][indices].astype(np.int64)

    def targets(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of some rows that can be predicted."""
        return self.plan.rows["targets"][indices].astype(np.int64)

    def batch(self, indices: NDArray[np.int64]) -> Batch:
        """Some rows, padded to the longest of them."""
        pieces, row_P = self._pieces(indices)
        ids = self._ids(pieces)
        width_P = pieces["length"].astype(np.int64) + len(self.before) + len(self.after)
        shape = len(indices), int(self.lengths(indices).max())
        place_W, within_W, piece_W = _places(row_P, width_P, shape[1])
        rows = {"input_ids": _spread(ids, place_W, shape, self.padding)}
        rows["attention_mask"] = _spread(np.ones_like(ids), place_W, shape, 0)
        form = self.plan.form
        if form.packing == "packed":
            rows["position_ids"] = _spread(within_W, place_W, shape, 0)
            if not form.causal:
                first_P = np.searchsorted(row_P, row_P)
                segment_P = np.arange(len(row_P)) - first_P + 1
                rows["segment_ids"] = _spread(segment_P[piece_W], place_W, shape, 0)
        labels = None
        if form.causal:
            labels = torch.from_numpy(_spread(self._next(pieces, ids), place_W, shape, IGNORE))
        inputs = {name: torch.from_numpy(values) for name, values in rows.items()}
        return Batch(inputs, labels, tuple(indices.tolist()))

    def _pieces(self, indices: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The pieces of some rows, and the place in the batch of the row of each."""
        ends = self.plan.rows["end"]
        begins = np.where(indices > 0, ends[np.maximum(indices - 1, 0)], 0)
        counts = ends[indices] - begins
        row_P = np.repeat(np.arange(len(indices)), counts)
        within_P = np.arange(len(row_P)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.plan.pieces[np.repeat(begins, counts) + within_P], row_P

    def _ids(self, pieces: NDArray[Any]) -> NDArray[np.int64]:
        """The ids of pieces, with special tokens around each."""
        content = self.tokens.read(pieces["start"], pieces["length"]).astype(np.int64)
        if not self.before and not self.after:
            return content
        lead, tail = len(self.before), len(self.after)
        width_P = pieces["length"].astype(np.int64) + lead + tail
        stop_P = np.cumsum(width_P)
        ids, text = np.empty(int(stop_P[-1]), np.int64), np.ones(int(stop_P[-1]), bool)
        for place, one in enumerate(self.before):
            at = stop_P - width_P + place
            ids[at], text[at] = one, False
        for place, one in enumerate(self.after):
            at = stop_P - tail + place
            ids[at], text[at] = one, False
        ids[text] = content
        return ids

    def _next(self, pieces: NDArray[Any], ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The label of each token: the next one of its document."""
        labels = np.append(ids[1:], IGNORE)
        stop_P = np.cumsum(pieces["length"].astype(np.int64)) - 1
        split = np.flatnonzero(pieces["last"] == 0)
        labels[stop_P] = IGNORE
        following = pieces["start"][split] + pieces["length"][split]
        labels[stop_P[split]] = self.tokens.read(following, np.ones_like(following))
        return labels


def _places(
    row_P: NDArray[np.int64], width_P: NDArray[np.int64], row: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each token of the pieces: its place in the flat batch, that in its piece, and its piece.

    Args:
        row_P: The row of each piece.
        width_P: Its tokens.
        row: Tokens of a padded row.
    """
    stop_P = np.cumsum(width_P)
    before_P = stop_P - width_P  # tokens of the batch before each piece
    first_P = before_P[np.searchsorted(row_P, row_P)]  # the same of the first piece of its row
    piece_W = np.repeat(np.arange(len(row_P)), width_P)
    within_W = np.arange(int(stop_P[-1])) - before_P[piece_W]
    return (row_P * row + before_P - first_P)[piece_W] + within_W, within_W, piece_W


def _spread(
    values: NDArray[np.int64], place_W: NDArray[np.int64], shape: tuple[int, int], fill: int
) -> NDArray[np.int64]:
    """Values at their places in a batch that is filled up."""
    flat = np.full(shape[0] * shape[1], fill, np.int64)
    flat[place_W] = values
    return flat.reshape(shape)
