"""The batch of a step as the model is shown it: what chance does to it knows no microbatches.

    join the microbatches    one row of random numbers per example, in the order of the batch
    transform                tokens are hidden or swapped (`Loss.transform_batch`)
    part again               as before, padding of other microbatches cut off

Into how many microbatches a batch falls depends on memory and on the number of ranks. If each were
transformed alone, other tokens would be hidden on four ranks than on one.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.data import IGNORE, Batch
from leanformer.train.loss import Loss


def transformed(loss: Loss, parts: Sequence[Batch]) -> list[Batch]:
    """The microbatches `parts` of one step, transformed by `loss` as one batch."""
    if type(loss).transform_batch is Loss.transform_batch:
        return list(parts)
    if len(parts) == 1:
        return [loss.transform_batch(parts[0])]
    widths = [_width(part) for part in parts]
    whole = loss.transform_batch(_joined(parts, max(widths)))
    shown, first = [], 0
    for part, width in zip(parts, widths, strict=True):
        rows = list(range(first, first + len(part.index)))
        shown.append(_as_wide(whole.take(rows), width))
        first += len(part.index)
    return shown


def _width(batch: Batch) -> int:
    return batch.inputs["input_ids"].shape[1]


def _joined(parts: Sequence[Batch], width: int) -> Batch:
    """All rows in one batch, each padded to `width` tokens."""
    wide = [_as_wide(part, width) for part in parts]
    inputs = {name: torch.cat([one.inputs[name] for one in wide]) for name in wide[0].inputs}
    index = tuple(place for one in wide for place in one.index)
    labels, lanes, begins = (
        None if found[0] is None else torch.cat(found)
        for found in (
            [getattr(one, name) for one in wide] for name in ("labels", "lanes", "begins")
        )
    )
    return Batch(inputs, labels, index, lanes, begins)


def _as_wide(batch: Batch, width: int) -> Batch:
    """The batch with `width` token positions: cut off behind, or padded."""
    was = _width(batch)

    def resized(tensor: Tensor, padding: int) -> Tensor:
        if tensor.dim() < 2 or tensor.shape[1] != was:
            return tensor
        behind = (0, 0) * (tensor.dim() - 2) + (0, width - was)
        return F.pad(tensor, behind, value=padding)

    labels = None if batch.labels is None else resized(batch.labels, IGNORE)
    inputs = {name: resized(tensor, 0) for name, tensor in batch.inputs.items()}
    return replace(batch, inputs=inputs, labels=labels)
