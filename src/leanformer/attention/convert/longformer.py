"""Longformer's and LED's self-attention: a window, and tokens that are global in one text only.

    local row t   softmax over { s : |t - s| <= window / 2 } + { s : s global }   of q_t . k_s
    global row t  softmax over all s                                               of q'_t . k'_s

q, k, v come from `query`, `key`, `value`; q', k', v' from `query_global`, `key_global` and
`value_global`. What is kept of transformers' module, so that its checkpoints mean the same:

- a local row sees global tokens through their local keys and values;
- places are told by the mask, text by text: below 0 hidden, 0 local, above 0 global;
- the row of a hidden place is 0.

It is computed otherwise. A block of queries reads the blocks of its window and the global keys in
one softmax (`leanformer.attention.kernels.blocked`). For a few global rows the whole text is not
projected once more: with the projections drawn to the other side of the products,

    q'_t . (K x_s + b) = (K^T q'_t) . x_s + q'_t . b
    sum_s w_s (V x_s + c) = V sum_s w_s x_s + c

they cost as much as their own number, and nothing that has the text's length is written but the
scores. transformers rounds all weights to float32, also in a model of float64; here they stay wide.

Legend: B batch, H head, T token, G global token, D head width, C width of the hidden states.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.attention.convert.heads import join_heads, refuse_weights, split_heads
from leanformer.attention.heads import Heads
from leanformer.attention.kernels.blocked import (
    BlockPlan,
    Kernel,
    blocked_attention,
    compress_plans,
    plan_blocks,
    sdpa,
)
from leanformer.attention.kernels.layout import Grid
from leanformer.attention.patterns import SlidingWindow
from leanformer.attention.positions import text_first

NAMES = ("LongformerSelfAttention", "LEDEncoderSelfAttention")
PROJECTIONS = ("query", "key", "value", "query_global", "key_global", "value_global")


class ConvertedLongformer(nn.Module):
    """Takes the place of a `LongformerSelfAttention`, with its weights under their names."""

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.num_heads: int = theirs.num_heads
        self.head_dim: int = theirs.head_dim
        self.one_sided_attn_window_size: int = theirs.one_sided_attn_window_size
        self.dropout: float = theirs.dropout
        for name in PROJECTIONS:
            self.add_module(name, getattr(theirs, name))
        self.training = theirs.training
        self._plans: dict[tuple[int, torch.device], tuple[BlockPlan, ...]] = {}

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor,
        is_index_masked: Tensor,
        is_index_global_attn: Tensor,
        is_global_attn: bool = False,
        output_attentions: bool = False,
    ) -> tuple[Tensor]:
        """What each token takes from the others, [B, T, C].

        Args:
            hidden_states: [B, T, C].
            attention_mask: [B, T] below 0 = hidden, 0 = local, above 0 = global.
            is_index_masked: [B, T] True at hidden places.
            is_index_global_attn: [B, T] True at global ones.
            is_global_attn: Whether there is any.
            output_attentions: Must be False.

        Raises:
            ValueError: Weights are asked for, which are never written down.
        """
        refuse_weights(output_attentions)
        query, key, value = (
            split_heads(self.get_submodule(name)(hidden_states), self.num_heads)
            for name in PROJECTIONS[:3]
        )
        kernel = sdpa(self.head_dim**-0.5, self._dropped, empty=False)  # each row sees itself
        places_BG = there_BG = torch.empty(0)
        if is_global_attn:
            there_B = is_index_global_attn.sum(1)
            count = int(there_B.max())
            places_BG = text_first(is_index_global_attn)[:, :count]
            there_BG = torch.arange(count, device=there_B.device) < there_B[:, None]
            kernel = _with_columns(kernel, key, value, places_BG, there_BG)
        local_BT = attention_mask == 0
        mixed = blocked_attention(
            query,
            key,
            value,
            None if bool(local_BT.all()) else local_BT,
            (),
            self._kept(hidden_states.shape[1], hidden_states.device),
            False,
            kernel,
        )
        mixed_BTC = join_heads(mixed).masked_fill(is_index_masked[..., None], 0)
        if is_global_attn:
            rows_BGC = self._rows(hidden_states, places_BG, ~is_index_masked)
            at = (there_BG.nonzero()[:, 0], places_BG[there_BG])
            mixed_BTC = mixed_BTC.index_put(at, rows_BGC[there_BG].to(mixed_BTC.dtype))
        return (mixed_BTC,)

    @property
    def _dropped(self) -> float:
        return self.dropout if self.training else 0.0

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def _kept(self, length: int, device: torch.device) -> tuple[BlockPlan, ...]:
        """What the window reads, kept for the next batch, often as long."""
        if (length, device) not in self._plans:
            side = self.one_sided_attn_window_size
            heads = Heads(
                num_heads=self.num_heads, num_kv_heads=self.num_heads, head_dim=self.head_dim
            )
            grid = Grid(length=length, heads=heads, device=device)
            layouts = SlidingWindow(left=side, right=side).layouts(grid)
            made = tuple(compress_plans(plan_blocks(layouts, length, False, device)))
            self._plans = {(length, device): made}
        return self._plans[length, device]

    def _rows(self, hidden_BTC: Tensor, places_BG: Tensor, keep_BT: Tensor) -> Tensor:
        """The rows of the global tokens, [B, G, C]."""
        query_global, key_global, value_global = (
            self.get_submodule(name) for name in PROJECTIONS[3:]
        )
        own_BGC = hidden_BTC.take_along_dim(places_BG[..., None], 1)
        query = split_heads(query_global(own_BGC), self.num_heads)
        if places_BG.shape[1] <= self.head_dim and _bare(key_global) and _bare(value_global):
            rows = self._moved(query, hidden_BTC, keep_BT, key_global, value_global)
        else:
            key, value = (
                split_heads(layer(hidden_BTC), self.num_heads)
                for layer in (key_global, value_global)
            )
            rows = sdpa(self.head_dim**-0.5, self._dropped)(
                query, key, value, keep_BT[:, None, None]
            )
        return join_heads(rows)

    def _moved(
        self,
        query_BHGD: Tensor,
        hidden_BTC: Tensor,
        keep_BT: Tensor,
        key_global: nn.Module,
        value_global: nn.Module,
    ) -> Tensor:
        """The same without a projection of the text, [B, H, G, D]: cheaper while G < D."""
        parameters = (key_global.weight, key_global.bias, value_global.weight, value_global.bias)
        key_HDC, key_HD1, value_HDC, value_HD1 = (
            x.view(self.num_heads, self.head_dim, -1)  # type: ignore[operator]
            for x in parameters
        )
        query = query_BHGD * self.head_dim**-0.5
        shape = query.shape[1:3]
        moved_BQC = (query @ key_HDC).flatten(1, 2)
        scores_BQT = moved_BQC @ hidden_BTC.mT + (query @ key_HD1).flatten(1, 2)
        wide = torch.promote_types(scores_BQT.dtype, torch.float32)
        lowest = torch.finfo(scores_BQT.dtype).min
        scores_BQT = scores_BQT.masked_fill(~keep_BT[:, None], lowest)
        weights_BQT = F.dropout(scores_BQT.softmax(-1, dtype=wide), self._dropped)
        mixed_BQC = weights_BQT.to(hidden_BTC.dtype) @ hidden_BTC
        mixed = mixed_BQC.unflatten(1, shape) @ value_HDC.mT
        taken = weights_BQT.sum(-1).unflatten(1, shape)[..., None].to(mixed.dtype)
        return mixed + taken * value_HD1.mT


def _bare(layer: nn.Module) -> bool:
    """Whether a layer is its weight and bias: not rounded, adapted or listened to."""
    heard = layer._forward_hooks or layer._forward_pre_hooks
    return type(layer) is nn.Linear and not heard


def _with_columns(
    kernel: Kernel, key_BHTD: Tensor, value_BHTD: Tensor, places_BG: Tensor, there_BG: Tensor
) -> Kernel:
    """Attention of a block that also sees the places that are global in its text."""
    index = places_BG[:, None, :, None]
    keys, values = (x.take_along_dim(index, 2) for x in (key_BHTD, value_BHTD))
    seen = there_BG[:, None, None]

    def both(query: Tensor, key: Tensor, value: Tensor, sees: Tensor | None) -> Tensor:
        assert sees is not None  # some place is not local
        mask = torch.cat([seen.expand(-1, -1, sees.shape[2], -1), sees], 3)
        return kernel(query, torch.cat([keys, key], 2), torch.cat([values, value], 2), mask)

    return both
