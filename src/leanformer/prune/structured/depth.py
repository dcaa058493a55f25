"""Which layers to keep: evenly spread, or measured.

    spaced     one of two for half the depth: DistilBERT keeps [0, 2, 4, ...]
    measured   remove, one after the other, the layer whose absence changes the outputs least:
                   argmin_l  mean (f_{S without l}(x) - f(x))^2        over real texts x

Before any training the measured ones answer far better: the last layer writes what the head reads.
Of a MiniLM fine-tuned on 20 intents, layers [0, 2, 5] alone answer 58 % of the development texts,
[0, 2, 4] 15 %. A training turns that round: on SST-2 the measured [3, 4, 5] begin well and stay
behind [0, 2, 4] (LOG.md), because the low layers, which read the words, are the hard ones to
replace.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leanformer.data import Batch
from leanformer.models.cutting.layers import keep_layers
from leanformer.train.evaluate import head_output


def spaced_layers(count: int, total: int) -> list[int]:
    """`count` layers of `total`, evenly spread from the first."""
    return [index * total // count for index in range(count)]


def measured_layers(
    model: nn.Module, batches: Sequence[Batch], kind: str, count: int, total: int
) -> list[int]:
    """`count` layers of `total` whose model is nearest to the whole one, found greedily.

    Args:
        model: The whole model; it is left as it is.
        batches: Real texts; labels are not looked at.
        kind: Kind of task.
        count: How many layers to keep.
        total: How many there are.
    """
    target = _answers(model, batches, kind)
    kept = list(range(total))
    while len(kept) > count:
        trials = []
        for layer in kept:
            rest = [other for other in kept if other != layer]
            cut = copy.deepcopy(model)
            keep_layers(cut, rest)
            change = float((_answers(cut, batches, kind) - target).square().mean())
            trials.append((change, rest))
        kept = min(trials)[1]
    return kept


@torch.no_grad()
def _answers(model: nn.Module, batches: Sequence[Batch], kind: str) -> Tensor:
    """The outputs at real tokens of all batches, one row each."""
    model.eval()
    rows = []
    for batch in batches:
        output = head_output(model, batch.inputs, kind)
        rows.append(output[batch.inputs["attention_mask"].bool()] if output.dim() == 3 else output)
    return torch.cat(rows).float()
