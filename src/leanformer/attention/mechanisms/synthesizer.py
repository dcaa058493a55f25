"""Synthesizer: scores that are learned rather than found by comparing tokens.

    O = softmax(S) V

    dense               S_t   = W2 relu(W1 q_t + b1) + b2               a score for each place
    factorized-dense    S_t,s = A_t,[s / b]  B_t,[s mod b]              A of a, B of b scores
    random              S     = R                                       the same for all texts
    factorized-random   S     = R1 R2^T                                 of a small rank

    mix                 softmax(alpha_1 S + alpha_2 scaling Q K^T) V    alphas sum to 1

The paper's dense scores read the hidden state; an attention layer is shown q, which is linear in
it, so nothing is lost to W1. A and B come from one hidden layer here. Each place has parameters of
its own, counted from the beginning of the text.

Time is quadratic: what is saved is the comparison alone. Scores exist for a block of queries at a
time, and are made again for the backward pass.

Legend: B batch, H head, T token, S key token, D head width, L max_length, N output, R rank.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from leanformer.attention.dense import mix, visible
from leanformer.attention.fixed_length import refuse_longer
from leanformer.attention.mechanism import Attention, Capabilities, Cost, Heads, Mechanism
from leanformer.core.technique import technique

BLOCK = 256  # queries whose scores exist at a time


def tiled(first_BHTN: Tensor, second_BHTN: Tensor) -> Tensor:
    """The product of each of the first scores with each of the second, these fastest."""
    return (first_BHTN[..., None] * second_BHTN[..., None, :]).flatten(-2)


def of_places(table_HLN: Tensor, at: Tensor | slice) -> Tensor:
    """Rows of a table for places [B, T] or a stretch of them, [B or 1, H, T, N]."""
    if isinstance(at, slice):
        return table_HLN[None, :, at]
    return table_HLN[:, at].transpose(0, 1)


class DenseScores(nn.Module):
    """Scores that two layers read from each query.

    Args:
        heads: The layer's heads.
        parts: Outputs of the second layer that are multiplied with each other, or one.
    """

    def __init__(self, heads: Heads, parts: tuple[int, ...]) -> None:
        super().__init__()
        self.parts, (count, width) = parts, (heads.num_heads, heads.head_dim)
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

    def forward(self, query_BHTD: Tensor, at: Tensor | slice, length: int) -> Tensor:
        """Scores of the first `length` places, [B, H, T, S]."""
        dtype, wanted = query_BHTD.dtype, length if len(self.parts) == 1 else sum(self.parts)
        hidden = (query_BHTD @ self.w1.to(dtype) + self.b1.to(dtype)).relu()
        scores = hidden @ self.w2[..., :wanted].to(dtype) + self.b2[..., :wanted].to(dtype)
        if len(self.parts) == 1:
            return scores
        first, second = scores.split(self.parts, -1)
        return tiled(first, second)[..., :length]


class RandomScores(nn.Module):
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

    def forward(self, query_BHTD: Tensor, at: Tensor | slice, length: int) -> Tensor:
        """Scores of the first `length` places, [B or 1, H, T, S]."""
        tables = self.tables.to(query_BHTD.dtype)
        if self.rank is None:
            return of_places(tables[0, :, :, :length], at)
        return of_places(tables[0], at) @ tables[1, :, :length].transpose(-1, -2)


class SynthesizerAttention(Attention):
    """Attention by learned scores, built.

    Attributes:
        synthetic: Makes them.
        alphas: [2] logits of the shares of learned and of compared scores; None = no comparison.
    """

    alphas: nn.Parameter | None

    def __init__(self, mechanism: "Synthesizer", heads: Heads, max_length: int) -> None:
        super().__init__(heads, mechanism.capabilities)
        self.max_length, scores = max_length, mechanism.scores
        if scores in ("dense", "factorized-dense"):
            whole = scores == "dense"
            self.synthetic: nn.Module = DenseScores(
                heads, (max_length,) if whole else factors(max_length)
            )
        else:
            self.synthetic = RandomScores(
                heads,
                max_length,
                mechanism.rank if scores == "factorized-random" else None,
                None if mechanism.trainable else mechanism.seed,
            )
        self.register_parameter("alphas", nn.Parameter(torch.empty(2)) if mechanism.mix else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin with equal shares; what makes the scores has its own."""
        if self.alphas is not None:
            nn.init.zeros_(self.alphas)

    def logits(
        self, query_BHTD: Tensor, key_BHSD: Tensor, at: Tensor | slice, scaling: float
    ) -> Tensor:
        """Scores before the mask, [B or 1, H, T, S]."""
        learned: Tensor = self.synthetic(query_BHTD, at, key_BHSD.shape[2])
        if self.alphas is None:
            return learned
        one, two = self.alphas.to(query_BHTD.dtype).softmax(0)
        return one * learned + two * scaling * query_BHTD @ key_BHSD.transpose(-1, -2)

    def reference(
        self,
        query_BHTD: Tensor,
        key_BHSD: Tensor,
        value_BHSD: Tensor,
        keep_BS: Tensor,
        at_BT: Tensor,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """See `Attention.reference`."""
        most = self.max_length
        refuse_longer(keep_BS.shape[1], keep_BS, most)
        logits = self.logits(query_BHTD, key_BHSD[:, :, :most], at_BT.clamp(max=most - 1), scaling)
        sees = visible(keep_BS[:, :most], at_BT, self.heads.causal)
        return mix(logits, value_BHSD[:, :, :most], sees, dropout)

    def efficient(
        self,
        query_BHTD: Tensor,
        key_BHTD: Tensor,
        value_BHTD: Tensor,
        keep_BT: Tensor | None,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """See `Attention.efficient`: the same in blocks of queries."""
        batch, _, length, _ = query_BHTD.shape
        refuse_longer(length, keep_BT, self.max_length)
        if keep_BT is None:
            keep_BT = torch.ones(1, length, dtype=torch.bool, device=query_BHTD.device)
        wide, there = torch.promote_types(query_BHTD.dtype, torch.float32), self.max_length
        query, key, value = (x[:, :, :there].to(wide) for x in (query_BHTD, key_BHTD, value_BHTD))

        def block(first: int, last: int) -> Tensor:
            end = last if self.heads.causal else key.shape[2]
            at = torch.arange(first, last, device=query.device)
            sees = visible(keep_BT[:, :end], at[None], self.heads.causal)
            rows = query[:, :, first:last]
            logits = self.logits(rows, key[:, :, :end], slice(first, last), scaling)
            return mix(logits.expand(batch, -1, -1, -1), value[:, :, :end], sees, dropout)

        starts = range(0, query.shape[2], BLOCK)
        run: Callable[[int, int], Tensor] = block
        if torch.is_grad_enabled() and len(starts) > 1:
            run = partial(checkpoint, block, use_reentrant=False, preserve_rng_state=dropout > 0)
        ends = [min(first + BLOCK, query.shape[2]) for first in starts]
        mixed = torch.cat([run(*span) for span in zip(starts, ends, strict=True)], 2)
        return F.pad(mixed.to(query_BHTD.dtype), (0, 0, 0, length - mixed.shape[2]))


def factors(length: int) -> tuple[int, int]:
    """Two numbers of about the same size whose product is `length` or a little more."""
    first = round(length**0.5)
    return first, -(-length // first)


@technique("synthesizer", paper="Tay et al. 2021 (Synthesizer), arXiv:2005.00743")
class Synthesizer(Mechanism):
    """Learn the scores instead of comparing tokens; quadratic, and tied to the longest text."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        dropout=True, fixed_length=True, learned=True
    )

    scores: Literal["dense", "random", "factorized-dense", "factorized-random"] = "random"
    """Where scores come from: the query, or a table that is the same for all texts; factorized,
    with fewer parameters."""
    mix: bool = False
    """Whether scores of comparing tokens are added, in shares that are learned."""
    trainable: bool = True
    """Whether random scores are trained, or stay as they were drawn."""
    rank: int = 8
    """Of the factors of factorized random scores."""
    seed: int = 0
    """Of random scores that are not trained; give layers different ones."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank: {self.rank} columns make no scores; it is 1 or more")
        if not self.trainable and "dense" in self.scores:
            raise ValueError(
                f"trainable: False, and {self.scores} scores are made by layers that must be "
                "trained; only random ones can stay as they are"
            )

    def build(self, heads: Heads) -> Attention:
        """See `Mechanism.build`."""
        self.check(heads)
        assert heads.max_length is not None  # check has seen to it
        return SynthesizerAttention(self, heads, heads.max_length)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: each pair's score, and the values."""
        width = heads.head_dim
        per_pair = {"dense": 2 * width, "factorized-dense": 1, "random": 0}
        pair = per_pair.get(self.scores, 2 * self.rank) + (2 * width if self.mix else 0)
        layers = 2 * width * width if "dense" in self.scores else 0
        scores = length * length // (2 if heads.causal else 1)
        return Cost(
            flops=scores * (pair + 2 * width) + length * layers, scores=min(BLOCK, length) * length
        )
