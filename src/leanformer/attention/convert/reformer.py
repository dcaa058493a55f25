"""Reformer's two attentions: tokens of a chunk of the text, and of a chunk of the sorted buckets.

    local    row t of chunk n    softmax over the keys of chunks n - before ... n + after
    LSH      the same over a text sorted by hash, round by round;  o = sum_r softmax_r(lse_r) o_r

What is kept of transformers' modules, so that their checkpoints mean the same:

- chunks are a ring: the first one's neighbour is the last;
- queries and keys of LSH are one projection, its keys have the same length; a token sees itself at
  -1e5, that is only where there is nothing else; a row of `local` that sees nothing is a mean;
- hashes, sorting, caches and the reversible layers' second pass are transformers' own code.

It is computed otherwise: chunk by chunk by torch's fused kernel, or where rounds are merged by
`leanformer.attention.partial`. Theirs copies keys and values once for each chunk that is looked at
and writes down the scores of the whole text, three times over. A step of decoding, a text of one
chunk, and a call that asks for weights are left to transformers.

Legend: B batch, H head, N chunk, C token of a chunk, W key that a chunk reads, D head width,
T token, R width of the hidden states.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.models.reformer.modeling_reformer import (
    LocalSelfAttention,
    LocalSelfAttentionOutput,
    LSHSelfAttention,
)

from leanformer.attention.blocked import bias_of
from leanformer.attention.convert.heads import TakesOver, join_heads, split_heads
from leanformer.attention.partial import partial_attention

LSH_NAMES = ("LSHSelfAttention",)
LOCAL_NAMES = ("LocalSelfAttention",)


class ConvertedLSH(TakesOver, LSHSelfAttention):  # type: ignore[misc]  # transformers is untyped
    """Takes the place of a `LSHSelfAttention`, with its parameters under their names."""

    written = False  # whether the call under way asks for weights

    def forward(self, hidden_states: Tensor, *given: Any, **named: Any) -> Any:
        """As transformers', but for how a chunk attends."""
        self.written = bool(named.get("output_attentions", False))
        return super().forward(hidden_states, *given, **named)

    def _attend(
        self,
        query_vectors: Tensor,
        key_vectors: Tensor,
        value_vectors: Tensor,
        sorted_bucket_idx_per_hash: Tensor,
        attention_mask: Tensor | None,
        do_standard_self_attention: bool,
        use_cache: bool,
    ) -> tuple[Tensor, Tensor, Any]:
        """What sorted tokens take, [B, H, N * C, D], and the logarithms of their weights' sums.

        Args:
            query_vectors: [B, H, N, C, D], N chunks of all rounds.
            key_vectors: The same, of one length.
            value_vectors: [B, H, N, C, D].
            sorted_bucket_idx_per_hash: [B, H, N * C] places in the text.
            attention_mask: [B, T] 1 at places of the text.
            do_standard_self_attention: Whether nothing is chunked.
            use_cache: Whether this is a step of decoding.
        """
        if do_standard_self_attention or use_cache or self.written:
            return super()._attend(  # type: ignore[no-any-return]
                query_vectors,
                key_vectors,
                value_vectors,
                sorted_bucket_idx_per_hash,
                attention_mask,
                do_standard_self_attention,
                use_cache,
            )
        places = sorted_bucket_idx_per_hash.unflatten(2, (-1, self.chunk_length)).unbind(2)
        several = sorted_bucket_idx_per_hash.shape[2] > int(sorted_bucket_idx_per_hash.max()) + 1
        queries, keys, values = (x.unbind(2) for x in (query_vectors, key_vectors, value_vectors))
        dropout = self.dropout if self.training else 0.0
        mixed, logits = [], []
        for number, query in enumerate(queries):
            read = ring(number, len(queries), self.num_chunks_before, self.num_chunks_after)
            key, value = (torch.cat([x[one] for one in read], 2) for x in (keys, values))
            at, seen = places[number], torch.cat([places[one] for one in read], 2)
            bias = self._bias(at, seen, attention_mask, query)
            if several:
                part = partial_attention(query, key, value, bias, scaling=1.0, dropout=dropout)
                weight, peak = part[..., -2], part[..., -1]
                mixed.append((part[..., :-2] / weight[..., None]).to(query.dtype))
                logits.append((peak + weight.log()).to(query.dtype))
            else:
                mixed.append(
                    F.scaled_dot_product_attention(
                        query, key, value, attn_mask=bias, dropout_p=dropout, scale=1.0
                    )
                )
                logits.append(torch.zeros_like(query[..., 0]))  # one round is not weighed
        return torch.cat(mixed, 2), torch.cat(logits, 2), ()

    def _bias(
        self, at_BHC: Tensor, seen_BHW: Tensor, keep_BT: Tensor | None, query: Tensor
    ) -> Tensor:
        """What is added to the scores of a chunk, [B, H, C, W]."""
        at, seen = at_BHC[..., None], seen_BHW[:, :, None]
        sees = torch.ones_like(at == seen)
        if keep_BT is not None:
            keep = keep_BT.bool()[:, None].expand(-1, seen_BHW.shape[1], -1)
            sees = sees & keep.gather(2, seen_BHW)[:, :, None]
        if self.is_decoder:
            sees = sees & (seen <= at)
        half = query.dtype == torch.float16
        last = self.self_mask_value_float16 if half else self.self_mask_value_float32
        return torch.where(at == seen, last.to(query.dtype), bias_of(sees, query.dtype))


class ConvertedLocal(TakesOver, LocalSelfAttention):  # type: ignore[misc]  # as above
    """Takes the place of a `LocalSelfAttention`, with its parameters under their names."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        past_buckets_states: Any = None,
        use_cache: bool = False,
        output_attentions: bool = False,
        **others: Any,
    ) -> LocalSelfAttentionOutput:
        """What each token takes from its chunk and the neighbouring ones, [B, T, R].

        Args:
            hidden_states: [B, T, R].
            attention_mask: [B, T] 1 at places of the text.
            past_buckets_states: transformers' cache.
            use_cache: Whether it is filled.
            output_attentions: Whether weights are asked for.
            others: What transformers hands through.
        """
        cached = past_buckets_states is not None and len(past_buckets_states) > self.layer_idx
        size, length = self.chunk_length, hidden_states.shape[1]
        if cached or output_attentions or size is None or length <= size or length % size:
            return super().forward(
                hidden_states,
                attention_mask,
                past_buckets_states,
                use_cache,
                output_attentions,
                **others,
            )
        queries, keys, values = (
            split_heads(self.get_submodule(name)(hidden_states), self.num_attention_heads).split(
                size, 2
            )
            for name in ("query", "key", "value")
        )
        mixed = []
        for number, query in enumerate(queries):
            read = ring(number, len(queries), self.num_chunks_before, self.num_chunks_after)
            key, value = (torch.cat([x[one] for one in read], 2) for x in (keys, values))
            mixed.append(
                F.scaled_dot_product_attention(
                    query,
                    key,
                    value,
                    attn_mask=self._bias(number, read, attention_mask, query),
                    dropout_p=self.dropout if self.training else 0.0,
                    scale=self.attention_head_size**-0.5,
                )
            )
        return LocalSelfAttentionOutput(
            hidden_states=join_heads(torch.cat(mixed, 2)), attention_probs=()
        )

    def _bias(
        self, number: int, read: list[int], keep_BT: Tensor | None, query: Tensor
    ) -> Tensor | None:
        """What is added to the scores of a chunk, [B or 1, H or 1, C, W]; None = nothing."""
        size, batch = self.chunk_length, query.shape[0]
        if keep_BT is None and not self.is_decoder:
            return None
        within = torch.arange(size, device=query.device)
        key = torch.cat([one * size + within for one in read])
        sees = torch.ones(batch, 1, size, len(key), dtype=torch.bool, device=query.device)
        if keep_BT is not None:
            sees = sees & keep_BT.bool()[:, None, None, key]
        if self.is_decoder:
            sees = sees & (key <= (number * size + within)[:, None])
        return bias_of(sees, query.dtype)


def ring(number: int, chunks: int, before: int, after: int) -> list[int]:
    """Numbers of the chunks that a chunk looks at, in their order: itself and its neighbours."""
    return [(number + step) % chunks for step in range(-before, after + 1)]
