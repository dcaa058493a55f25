"""Sinkhorn attention: a block of tokens sees itself and one block that a learned sort puts there.

    S_ij = (W_to s_i) . (W_from s_j) / sqrt(D)          s_j the mean key of block j
    R    = Sinkhorn(S / temperature)                    rows and columns of R sum to 1
    o_t  = softmax(scaling * q_t [K_i ; (R K)_i]^T) [V_i ; (R V)_i]          t in block i

R is a soft permutation of blocks: token p of sorted block i is the mixture, by row i of R, of the
tokens p of all blocks. Scores are bilinear in summaries, so that no number of blocks is built in;
summaries are of keys alone, for in decoding earlier queries are gone. The normalisation ends with
the rows, so that each sorted block is a mixture however few steps there are. Gumbel noise is added
in training, from torch's global state as dropout's is.

Padding: blocks are laid over the text, which stands first; blocks without a token take no part in
the normalisation, hidden keys and values are 0 in the mixture, and place p of a sorted block is
seen if any block has a token there, that is, if the text has more than p tokens.

Causal: block i sorts earlier blocks alone. W_to reads the mean of all keys before block i, and the
columns are normalised over the rows up to i, so that no row depends on a later one; block 0 has no
sorted block. SortCut lets all tokens see the first sorted blocks instead of their own two.

Legend: B batch, H head, T token, N block, M another block, P place in a block, D head width.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.attention.heads import Capabilities, Cost, Heads, Swap
from leanformer.attention.kernels.blocked import sdpa
from leanformer.attention.kernels.dense import mix
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.core.ranges import Count, Positive
from leanformer.core.technique import technique

LOW = -1e9  # the logarithm of nothing; its exponential is 0 exactly


def sinkhorn(scores_BHNM: Tensor, open_BHNM: Tensor, iterations: int, *, causal: bool) -> Tensor:
    """Scores as a soft permutation, closed pairs 0; a row without an open pair is 0.

    Args:
        scores_BHNM: Logarithms of positive numbers.
        open_BHNM: True where a block may be sorted to a place.
        iterations: Times that columns and then rows are normalised.
        causal: Whether a column's sum is over the rows so far.
    """
    logs = scores_BHNM.masked_fill(~open_BHNM, LOW)
    for _ in range(iterations):
        columns = logs.logcumsumexp(-2) if causal else logs.logsumexp(-2, keepdim=True)
        logs = (logs - columns).masked_fill(~open_BHNM, LOW)
        logs = logs - logs.logsumexp(-1, keepdim=True)
        logs = logs.masked_fill(~open_BHNM, LOW)
    return logs.exp()


def in_blocks(x_BHTD: Tensor, size: int) -> Tensor:
    """Texts in blocks, the last one filled with zeros, [B, H, N, P, D]."""
    short = -x_BHTD.shape[2] % size
    return F.pad(x_BHTD, (0, 0, 0, short)).unflatten(2, (-1, size))


def sort(weights_BHNM: Tensor, x_BHMPD: Tensor) -> Tensor:
    """Mixtures of whole blocks, [B, H, N, P, D]."""
    return (weights_BHNM @ x_BHMPD.flatten(3)).unflatten(3, x_BHMPD.shape[3:])


class SinkhornAttention(Attention):
    """Attention to the own block and a sorted one, built.

    Attributes:
        target: [H, D, D] W_to, reads the place that is sorted to.
        source: [H, D, D] W_from, reads the block that is sorted.
    """

    def __init__(self, mechanism: "Sinkhorn", heads: Heads) -> None:
        super().__init__(heads, mechanism.capabilities)
        self.block_size, self.n_top = mechanism.block_size, mechanism.n_top
        self.iterations, self.temperature = mechanism.iterations, mechanism.temperature
        self.target = nn.Parameter(torch.empty(heads.num_heads, heads.head_dim, heads.head_dim))
        self.source = nn.Parameter(torch.empty_like(self.target))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw projections that keep the variance."""
        for weight in (self.target, self.source):
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)

    def permutation(self, key_BHNPD: Tensor, keep_BNP: Tensor) -> Tensor:
        """The share of each block in each sorted block, [B, H, N, M]; hidden keys are 0."""
        sums, counts = key_BHNPD.sum(3), keep_BNP.sum(-1)[:, None, :, None]
        sources = targets = sums / counts.clamp(min=1)
        there = counts > 0
        open_BHNM = there & there.transpose(-1, -2)
        if self.heads.causal:
            before = (counts.cumsum(2) - counts).clamp(min=1)
            targets = (sums.cumsum(2) - sums) / before
            open_BHNM = open_BHNM.tril(-1)
        to, source = (weight.to(sums.dtype) for weight in (self.target, self.source))
        scores = (targets @ to) @ (sources @ source).transpose(-1, -2) * sums.shape[-1] ** -0.5
        if self.training:
            scores = scores - torch.empty_like(scores).exponential_().log()  # Gumbel noise
        scores = scores / self.temperature
        return sinkhorn(scores, open_BHNM, self.iterations, causal=self.heads.causal)

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
        """See `Attention.reference`: text by text, all sorted blocks beside all keys; no noise."""
        mixed = torch.zeros_like(query_BHTD)
        for row, there in enumerate(keep_BS.sum(1).tolist()):
            if there:
                key, value = (
                    in_blocks(x[row : row + 1, :, :there], self.block_size)[0]
                    for x in (key_BHSD, value_BHSD)
                )
                weights_HNM = self._slow_permutation(key_BHSD[row, :, :there])
                keys, values = (
                    torch.cat([x, torch.einsum("hnm,hmpd->hnpd", weights_HNM, x)], 1).flatten(1, 2)
                    for x in (key, value)
                )
                sees_TS = self._sees(at_BT[row], there)
                scores = scaling * query_BHTD[row] @ keys.mT
                mixed[row] = mix(scores, values, sees_TS, dropout)
        return mixed

    def _slow_permutation(self, key_HSD: Tensor) -> Tensor:
        """R of one text as products of positive numbers, [H, N, N]."""
        means = torch.stack([block.mean(1) for block in key_HSD.split(self.block_size, 1)], 1)
        targets, blocks = means, means.shape[1]
        allowed = torch.ones(blocks, blocks, dtype=torch.bool, device=key_HSD.device)
        if self.heads.causal:
            first = [key_HSD[:, : max(n * self.block_size, 1)].mean(1) for n in range(blocks)]
            targets, allowed = torch.stack(first, 1), allowed.tril(-1)
        scores = targets @ self.target @ (means @ self.source).mT * key_HSD.shape[-1] ** -0.5
        share = ((scores - scores.amax((1, 2), keepdim=True)) / self.temperature).exp() * allowed
        for _ in range(self.iterations):
            columns = share.cumsum(1) if self.heads.causal else share.sum(1, keepdim=True)
            share = share / columns.masked_fill(columns == 0, 1)
            rows = share.sum(2, keepdim=True)
            share = share / rows.masked_fill(rows == 0, 1)
        return share

    def _sees(self, at_T: Tensor, there: int) -> Tensor:
        """Which keys and then which sorted places queries see, [T, 2 * N * P]."""
        place = torch.arange(-(-there // self.block_size) * self.block_size, device=at_T.device)
        block, own = place // self.block_size, at_T[:, None] // self.block_size
        near = (block == own) & (place < there)
        far = (block == own) & (place % self.block_size < there)
        if self.heads.causal:
            near, far = near & (place <= at_T[:, None]), far & (block > 0)
        if self.n_top is not None:
            near, far = (
                torch.zeros_like(near),
                (block < self.n_top) & (place % self.block_size < there),
            )
            far = far.expand_as(near)
        return torch.cat([near, far], -1)

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
        """See `Attention.efficient`: a batch of blocks, each with two blocks of keys."""
        batch, _, length, _ = key_BHTD.shape
        if keep_BT is None:
            keep_BT = torch.ones(batch, length, dtype=torch.bool, device=key_BHTD.device)
        hidden = ~keep_BT[:, None, :, None]
        query = in_blocks(query_BHTD, self.block_size)
        key, value = (
            in_blocks(x.masked_fill(hidden, 0), self.block_size) for x in (key_BHTD, value_BHTD)
        )
        keep_BNP = in_blocks(~hidden, self.block_size)[:, 0, :, :, 0]
        wide = torch.promote_types(key.dtype, torch.float32)
        weights = self.permutation(key.to(wide), keep_BNP).to(key.dtype)
        sorted_key, sorted_value = sort(weights, key), sort(weights, value)
        seen_BNP = keep_BNP.any(1, keepdim=True) & keep_BNP.any(2, keepdim=True)
        attend = sdpa(scaling, dropout)
        if self.n_top is not None:
            keys, values = (x[:, :, : self.n_top].flatten(2, 3) for x in (sorted_key, sorted_value))
            return attend(
                query_BHTD, keys, values, seen_BNP[:, None, None, : self.n_top].flatten(3)
            )
        near_BNPQ = keep_BNP[:, :, None].expand(-1, -1, self.block_size, -1)
        if self.heads.causal:
            near_BNPQ = near_BNPQ.tril()
            seen_BNP = seen_BNP & (torch.arange(key.shape[2], device=key.device) > 0)[:, None]
        sees = torch.cat([near_BNPQ, seen_BNP[:, :, None].expand_as(near_BNPQ)], -1)
        keys, values = torch.cat([key, sorted_key], 3), torch.cat([value, sorted_value], 3)
        queries, keys, values = (x.transpose(1, 2).flatten(0, 1) for x in (query, keys, values))
        mixed = attend(queries, keys, values, sees.flatten(0, 1)[:, None])
        return mixed.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2, 3)[:, :, :length]


@technique("sinkhorn", paper="Tay et al. 2020 (Sparse Sinkhorn Attention), arXiv:2002.11296")
class Sinkhorn(Mechanism):
    """See the own block and one that a learned sort puts beside it: linear but for the sort."""

    block_size: Count = 64
    """Tokens of a block."""
    iterations: Count = 8
    """Times that columns and rows are normalised; the paper has 5 to 10."""
    temperature: Positive = 0.75
    """Divides the scores of the sort: lower is nearer to a permutation."""
    n_top: Count | None = None
    """SortCut: number of sorted blocks, the first ones, that all tokens attend to; None = each
    attends to its own block and one sorted block. Not for causal layers."""

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # sorted blocks mix all
        """What it can do: with SortCut, everything sees mixtures of the whole text."""
        causal: Literal["exact", "no"] = "exact" if self.n_top is None else "no"
        swap: Swap = "loses" if self.n_top is None else "unmeasured"
        return Capabilities(causal=causal, dropout=True, learned=True, swap=swap)

    def build(self, heads: Heads) -> Attention:
        """See `Mechanism.build`."""
        self.check(heads)
        return SinkhornAttention(self, heads)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: the sort of keys and values, and two products with what is seen."""
        blocks = -(-length // self.block_size)
        scores = length * self.block_size * (2 if self.n_top is None else min(self.n_top, blocks))
        sorting = 4 * blocks * blocks * self.block_size * heads.head_dim
        return Cost(flops=sorting + 4 * scores * heads.head_dim, scores=scores)
