"""Scores that do not compare tokens: what the Synthesizer makes of each query, or of places alone.

    dense      W2 relu(W1 q_t + b1) + b2, one score for each place, or A and B to be multiplied
    random     a table R for each head, or R1 R2^T of a small rank

Scores that are products of features are also given as these, so that torch's attention can take
them for queries and keys.

Legend: B batch, H head, T token, S key token, D head width, L max_length, N output, F feature.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.attention.heads import Heads


def tiled(first_BHTN: Tensor, second_BHTN: Tensor) -> Tensor:
    """The product of each of the first scores with each of the second, these fastest."""
    return (first_BHTN[..., None] * second_BHTN[..., None, :]).flatten(-2)


class Scores(nn.Module, ABC):
    """Scores that do not compare tokens."""

    @abstractmethod
    def forward(self, query_BHTD: Tensor, at_BT: Tensor, length: int) -> Tensor:
        """Scores of queries at these places for the first `length` keys, [B, H, T, S]."""

    def features(self, query_BHTD: Tensor) -> tuple[Tensor, Tensor] | None:
        """[B or 1, H, T, F] and [1, H, T, F], whose products are the scores of whole texts."""
        return None

    def blocks(self, size: int) -> tuple[Tensor, ...] | None:
        """[1, H, size, L] scores of stretches of queries, where they are the same for all texts."""
        return None


class DenseScores(Scores):
    """Scores that two layers read from each query.

    Args:
        heads: The layer's heads.
        parts: Outputs of the second layer: one for each place, or A and B to be multiplied.
    """

    def __init__(self, heads: Heads, *parts: int) -> None:
        super().__init__()
        self.parts, count, width = parts, heads.num_heads, heads.head_dim
        self.w1 = nn.Parameter(torch.empty(count, width, width))
        self.b1 = nn.Parameter(torch.empty(count, 1, width))
        self.w2 = nn.Parameter(torch.empty(count, width, sum(parts)))
        self.b2 = nn.Parameter(torch.empty(count, 1, sum(parts)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights that keep the variance, as far as relu does."""
        for weight in (self.w1, self.w2):
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        nn.init.zeros_(self.b1)
        nn.init.zeros_(self.b2)

    def forward(self, query_BHTD: Tensor, at_BT: Tensor, length: int) -> Tensor:
        """See `Scores.forward`."""
        dtype = query_BHTD.dtype
        scores = self._hidden(query_BHTD) @ self.w2.to(dtype) + self.b2.to(dtype)
        if len(self.parts) == 1:
            return scores[..., :length]
        first, second = scores.split(self.parts, -1)
        return tiled(first[..., : -(-length // self.parts[1])], second)[..., :length]

    def features(self, query_BHTD: Tensor) -> tuple[Tensor, Tensor] | None:
        """See `Scores.features`."""
        if len(self.parts) > 1:
            return None
        hidden = F.pad(self._hidden(query_BHTD), (0, 1), value=1.0)
        places = torch.cat([self.w2, self.b2], 1)[..., : query_BHTD.shape[2]]
        return hidden, places.transpose(-1, -2)[None].to(query_BHTD.dtype)

    def _hidden(self, query_BHTD: Tensor) -> Tensor:
        dtype = query_BHTD.dtype
        return (query_BHTD @ self.w1.to(dtype) + self.b1.to(dtype)).relu()


class RandomScores(Scores):
    """Scores that are the same for all texts.

    Args:
        heads: The layer's heads.
        max_length: Places.
        rank: Of R1 and R2; None = R is one table.
        seed: Of scores that are not learned; None = they are.
    """

    tables: Tensor

    def __init__(self, heads: Heads, max_length: int, rank: int | None, seed: int | None) -> None:
        super().__init__()
        self.rank, self.seed = rank, seed
        tables, columns = (1, max_length) if rank is None else (2, rank)
        shape = (tables, heads.num_heads, max_length, columns)
        if seed is None:
            self.tables = nn.Parameter(torch.empty(shape))
        else:
            self.register_buffer("tables", torch.empty(shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw scores of variance 1."""
        generator = None if self.seed is None else torch.Generator().manual_seed(self.seed)
        drawn = torch.randn(self.tables.shape, generator=generator)
        with torch.no_grad():
            self.tables.copy_(drawn * (self.rank or 1) ** -0.25)

    def forward(self, query_BHTD: Tensor, at_BT: Tensor, length: int) -> Tensor:
        """See `Scores.forward`."""
        tables = self.tables.to(query_BHTD.dtype)
        rows_BHTR = tables[0][:, at_BT].transpose(0, 1)
        if self.rank is None:
            return rows_BHTR[..., :length]
        return rows_BHTR @ tables[1, :, :length].transpose(-1, -2)

    def features(self, query_BHTD: Tensor) -> tuple[Tensor, Tensor] | None:
        """See `Scores.features`."""
        if self.rank is None:
            return None
        tables = self.tables[:, :, : query_BHTD.shape[2]].to(query_BHTD.dtype)
        return tables[:1], tables[1:]

    def blocks(self, size: int) -> tuple[Tensor, ...] | None:
        """See `Scores.blocks`."""
        return None if self.rank else self.tables.split(size, 2)
