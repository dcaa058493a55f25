"""Reformer's local self-attention: a chunk of tokens sees itself and the chunks around it.

    chunk n sees chunks n - before, ..., n, ..., n + after     softmax of q_t . k_s / sqrt(D)

What is kept of transformers' module, so that its checkpoints mean the same:

- chunks stand in a ring (`leanformer.attention.convert.ring`): the first sees the last one, unless
  the model is causal; a text of one chunk or less sees itself;
- a hidden token that sees nothing takes all its window, with the weights that rounding leaves in
  transformers: in float64 its mean, in float32, where -1e9 swallows all else, its sum. No token of
  the text reads it;
- a step of decoding with a cache is transformers' own method, inherited.

Legend: B batch, T token, N chunk, K token of a chunk, H head, D head width, C width of the hidden
states.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.models.reformer.modeling_reformer import (
    LocalSelfAttention,
    LocalSelfAttentionOutput,
)

from leanformer.attention.convert.heads import TakesOver, refuse_weights
from leanformer.attention.convert.ring import Mask, Ring, ring_attention
from leanformer.attention.kernels.blocked import Kernel, sdpa

NAMES = ("LocalSelfAttention",)


class ConvertedLocal(TakesOver, LocalSelfAttention):  # type: ignore[misc]  # transformers is untyped
    """Takes the place of a `LocalSelfAttention`, with its weights under their names."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        past_buckets_states: Any = None,
        use_cache: bool = False,
        output_attentions: bool = False,
        **kwargs: Any,
    ) -> LocalSelfAttentionOutput:
        """What each token takes from the chunks around it, [B, T, H * D].

        Args:
            hidden_states: [B, T, C].
            attention_mask: [B, T] 0 = hidden; None = all are there.
            past_buckets_states: transformers' cache; where it has this layer, `hidden_states` is
                the next token.
            use_cache: Not minded: the layer around fills the cache.
            output_attentions: Must be False.
            kwargs: Not minded, as in transformers.

        Raises:
            ValueError: Weights are asked for, or the text is no number of chunks.
        """
        refuse_weights(output_attentions)
        if past_buckets_states is not None and len(past_buckets_states) > self.layer_idx:
            return super().forward(
                hidden_states, attention_mask, past_buckets_states, use_cache, **kwargs
            )
        batch, length, _ = hidden_states.shape
        ring = Ring(1, length) if length <= self.chunk_length else ring_of(self, length)
        query, key, value = (
            layer(hidden_states).unflatten(2, (self.num_attention_heads, -1))
            for layer in (self.query, self.key, self.value)
        )
        chunks = (ring.count, ring.size)
        places = torch.arange(length, device=query.device).view(1, *chunks, 1)
        hidden = -1e4 if query.dtype == torch.float16 else -1e9
        kernel = sdpa(self.attention_head_size**-0.5, self.dropout if self.training else 0.0)
        keep = None
        if attention_mask is not None:
            keep = attention_mask.to(torch.bool).view(batch, *chunks, 1)
            kernel = _with_blind(kernel, hidden)
        mask = Mask(places, keep, self.is_decoder, hidden)
        mixed = ring_attention(query, key, value, ring, mask, kernel)
        return LocalSelfAttentionOutput(hidden_states=mixed.flatten(2), attention_probs=())


def ring_of(layer: Any, tokens: int) -> Ring:
    """The chunks of so many tokens, as a layer cuts them and lets them see each other.

    Raises:
        ValueError: They are no number of chunks.
    """
    size = layer.chunk_length
    if tokens % size:
        raise ValueError(
            f"hidden_states: {tokens} tokens are no number of chunks of {size}; pad the text to a "
            "multiple of all chunk lengths (the model does so itself when it does not train)"
        )
    return Ring(tokens // size, size, layer.num_chunks_before, layer.num_chunks_after)


def _with_blind(kernel: Kernel, hidden: float) -> Kernel:
    """The same, with what transformers leaves a query that sees nothing."""

    def both(query: Tensor, key: Tensor, value: Tensor, added: Tensor | None) -> Tensor:
        assert added is not None  # some text is padded
        mixed = kernel(query, key, value, added)
        blind = added.amax(-1, keepdim=True) < 0
        scores_W = torch.full_like(added[0, 0, 0], hidden)
        weight = (scores_W - scores_W.logsumexp(0)).exp()[0]
        return torch.where(blind, weight * value.sum(2, keepdim=True), mixed)

    return both
