"""Noise on the input: more texts for a teacher to label, made of those that are there.

A teacher labels anything, so a student of few examples may be shown variations without end: in each
batch some tokens are replaced by tokens of other texts of the batch (as often as the domain uses
them), and both models read the same result.

Legend: B batch, T token.
"""

import torch
from torch import Tensor


def swapped(ids_BT: Tensor, free_BT: Tensor, share: float) -> Tensor:
    """`ids_BT` with a random `share` of its free tokens replaced by free tokens of the batch.

    Args:
        ids_BT: Token ids.
        free_BT: True where a token may be replaced: no padding, no special token.
        share: Probability of each free token; 0 = none, 1 = all.
    """
    pool = ids_BT[free_BT]
    if share == 0 or not len(pool):
        return ids_BT
    chosen_BT = free_BT & (torch.rand(ids_BT.shape) < share)
    drawn = pool[torch.randint(len(pool), (int(chosen_BT.sum()),))]
    return ids_BT.masked_scatter(chosen_BT, drawn)
