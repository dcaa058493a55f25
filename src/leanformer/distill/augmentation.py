"""More texts for a teacher to label, made of the texts that are there.

A teacher labels anything, so a student of few examples may be shown variations without end.
An `Augmentation` makes new texts once, before training. `token_swap` changes each batch anew: it
replaces tokens by tokens of other texts of the batch, so that replacements are as frequent as in
the domain. Both models read the same result.

Legend: B batch, T token, V vocabulary, D hidden width.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from leanformer.data import Examples


class Augmentation(ABC):
    """Makes new texts from texts."""

    family: ClassVar[str] = "augmentation"

    @abstractmethod
    def augment(
        self, examples: Examples, tokenizer: Any, embeddings_VD: Tensor, seed: int
    ) -> Examples:
        """New unlabelled examples of the form of `examples`, the same for the same seed."""


def token_swap(ids_BT: Tensor, free_BT: Tensor, probability: float) -> Tensor:
    """Replace random free tokens by free tokens drawn from the whole batch.

    Args:
        ids_BT: Token ids.
        free_BT: True where a token may be replaced: not padding, not a special token.
        probability: Probability of replacing each free token; 0 = none, 1 = all.
    """
    pool = ids_BT[free_BT]
    if probability == 0 or not len(pool):
        return ids_BT
    chosen_BT = free_BT & (torch.rand(ids_BT.shape) < probability).to(ids_BT.device)
    drawn = pool[torch.randint(len(pool), (int(chosen_BT.sum()),)).to(ids_BT.device)]
    return ids_BT.masked_scatter(chosen_BT, drawn)
