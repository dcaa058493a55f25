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

Time is quadratic: what is saved is the comparison alone. Dense scores and those of a small rank are
products of features, [relu(..), 1] . [W2, b2] and R1 . R2, so that torch's attention takes these
for queries and keys and writes no score down. Other scores exist for a block of queries at a time,
and are made again for the backward pass.

Legend: B batch, H head, T token, S key token, D head width, L max_length, N output, R rank,
F feature.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from leanformer.attention.heads import Capabilities, Cost, Heads, Swap
from leanformer.attention.kernels.blocked import sdpa
from leanformer.attention.kernels.dense import mix, visible
from leanformer.attention.kernels.fixed_length import refuse_longer
from leanformer.attention.kernels.synthetic_scores import DenseScores, RandomScores, Scores
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.core.ranges import Count, Seed
from leanformer.core.technique import technique

BLOCK = 256  # queries whose scores exist at a time
WIDTHS = 16  # torch's fast kernels want keys and values of one width, a multiple of this


class SynthesizerAttention(Attention):
    """Attention by learned scores, built.

    Attributes:
        synthetic: Makes them.
        alphas: [2] logits of the shares of learned and of compared scores; None = no comparison.
    """

    alphas: nn.Parameter | None
    synthetic: Scores

    def __init__(self, mechanism: "Synthesizer", heads: Heads, max_length: int) -> None:
        super().__init__(heads, mechanism.capabilities)
        self.max_length, form = max_length, mechanism.scores
        if form in ("random", "factorized-random"):
            rank = None if form == "random" else mechanism.rank
            seed = None if mechanism.trainable else mechanism.seed
            self.synthetic = RandomScores(heads, max_length, rank, seed)
        else:
            parts = (max_length,) if form == "dense" else factors(max_length)
            self.synthetic = DenseScores(heads, *parts)
        self.register_parameter("alphas", nn.Parameter(torch.empty(2)) if mechanism.mix else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin with equal shares; what makes the scores has its own."""
        if self.alphas is not None:
            nn.init.zeros_(self.alphas)

    def _with_compared(
        self, learned: Tensor, query_BHTD: Tensor, key_BHSD: Tensor, scaling: float
    ) -> Tensor:
        """Scores before the mask, [B or 1, H, T, S]."""
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
        key, value, keep = key_BHSD[:, :, :most], value_BHSD[:, :, :most], keep_BS[:, :most]
        learned = self.synthetic(query_BHTD, at_BT.clamp(max=most - 1), key.shape[2])
        logits = self._with_compared(learned, query_BHTD, key, scaling)
        return mix(logits, value, visible(keep, at_BT, self.heads.causal), dropout)

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
        """See `Attention.efficient`."""
        length, most = query_BHTD.shape[2], self.max_length
        refuse_longer(length, keep_BT, most)
        query, key, value = (x[:, :, :most] for x in (query_BHTD, key_BHTD, value_BHTD))
        keep = None if keep_BT is None else keep_BT[:, :most]
        features = self.synthetic.features(query)
        if features is not None:
            mixed = self._by_features(*features, query, key, value, keep, scaling, dropout)
        else:
            mixed = self._in_blocks(query, key, value, keep, scaling, dropout)
        return F.pad(mixed, (0, 0, 0, length - mixed.shape[2]))

    def _by_features(
        self,
        left: Tensor,
        right: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        keep_BT: Tensor | None,
        scaling: float,
        dropout: float,
    ) -> Tensor:
        """Attention of features, [B, H, T, D]."""
        batch, width = value.shape[0], value.shape[-1]
        left, right = (x.expand(batch, -1, -1, -1) for x in (left, right))
        if self.alphas is not None:
            one, two = self.alphas.to(query.dtype).softmax(0)
            left = torch.cat([one * left, two * scaling * query], -1)
            right = torch.cat([right, key], -1)
        widest = -(-max(left.shape[-1], width) // WIDTHS) * WIDTHS
        left, right, value = (F.pad(x, (0, widest - x.shape[-1])) for x in (left, right, value))
        if not self.heads.causal:
            sees = None if keep_BT is None else keep_BT[:, None, None]
            return sdpa(1.0, dropout)(left, right, value, sees)[..., :width]
        mixed = F.scaled_dot_product_attention(
            left, right, value, is_causal=True, dropout_p=dropout, scale=1.0
        )[..., :width]  # what is hidden stands behind the text, later than all of it
        return mixed if keep_BT is None else mixed.masked_fill(~keep_BT[:, None, :, None], 0)

    def _in_blocks(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        keep_BT: Tensor | None,
        scaling: float,
        dropout: float,
    ) -> Tensor:
        """Scores written down for some queries at a time, [B, H, T, D]."""
        batch, _, length, _ = query.shape
        if keep_BT is None:
            keep_BT = torch.ones(1, length, dtype=torch.bool, device=query.device)
        shared = self.synthetic.blocks(BLOCK)

        def block(first: int, rows_1HTL: Tensor | None) -> Tensor:
            last = min(first + BLOCK, length)
            end = last if self.heads.causal else length
            at_BT = torch.arange(first, last, device=query.device)[None]
            some, keys = query[:, :, first:last], key[:, :, :end]
            if rows_1HTL is None:
                learned = self.synthetic(some, at_BT, end)
            else:
                learned = rows_1HTL[:, :, : last - first, :end].to(query.dtype)
            logits = self._with_compared(learned, some, keys, scaling)
            sees = visible(keep_BT[:, :end], at_BT, self.heads.causal)
            return mix(logits.expand(batch, -1, -1, -1), value[:, :, :end], sees, dropout)

        starts = range(0, length, BLOCK)
        run: Callable[[int, Tensor | None], Tensor] = block
        if torch.is_grad_enabled() and len(starts) > 1:
            run = partial(checkpoint, block, use_reentrant=False, preserve_rng_state=dropout > 0)
        mixed = [run(first, None if shared is None else shared[first // BLOCK]) for first in starts]
        return torch.cat(mixed, 2)


def factors(length: int) -> tuple[int, int]:
    """Two numbers of about the same size whose product is `length` or a little more."""
    first = round(length**0.5)
    return first, -(-length // first)


@technique("synthesizer", paper="Tay et al. 2021 (Synthesizer), arXiv:2005.00743")
class Synthesizer(Mechanism):
    """Learn the scores instead of comparing tokens; quadratic, and tied to the longest text."""

    scores: Literal["dense", "random", "factorized-dense", "factorized-random"] = "random"
    """Where scores come from: the query, or a table that is the same for all texts; factorized,
    with fewer parameters."""
    mix: bool = False
    """Whether scores of comparing tokens are added, in shares that are learned."""
    trainable: bool = True
    """Whether random scores are trained, or stay as they were drawn."""
    rank: Count = 8
    """Of the factors of factorized random scores."""
    seed: Seed = 0
    """Of random scores that are not trained; give layers different ones."""

    def __post_init__(self) -> None:
        if not self.trainable and "dense" in self.scores:
            raise ValueError(
                f"trainable: False, and {self.scores} scores are made by layers that must be "
                "trained; only random ones can stay as they are"
            )

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # one form was measured
        """What it can do."""
        measured = self.scores == "factorized-random" and not self.mix
        swap: Swap = "loses" if measured else "unmeasured"
        return Capabilities(dropout=True, fixed_length=True, learned=True, swap=swap)

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
