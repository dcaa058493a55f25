"""Reformer's self-attention among tokens with similar hashes; its local one is another file.

    sort the text by bucket, one round after the other; cut what is sorted into chunks;
    o_t = softmax over what its chunks and those around them show       q_t . q_s / |q_s|
    bucket  argmax [x R ; -x R],  R random;  a product of such buckets where there are many

What is kept of transformers' module, so that its checkpoints mean the same (the mechanism `LSH` of
`leanformer.attention` is strict where this is not):

- chunks stand in a ring (`leanformer.attention.convert.ring`): the first of a round sees the last
  of the round before, and the first of all the last of all; buckets sort, and forbid nobody;
- rotations are those that transformers draws, in the same order of torch's random numbers;
- a token sees itself only if it sees nothing else;
- a step of decoding with a cache is transformers' own method, inherited.

What is different on purpose:

- `hash_seed` seeds a generator of its own. transformers seeds torch's in each call, so that dropout
  repeats itself;
- the reversible layers run attention again for their backward pass, with the buckets handed over.
  Rotations are drawn there too, and thrown away, so that dropout draws what it drew before. In
  transformers it draws anew, and gradients are those of another pass;
- rounds of that pass are told from the buckets: `num_hashes` may be given to a model that trains.

Rounds are merged as parts of one softmax; a single one goes to `scaled_dot_product_attention`.

Legend: B batch, T token, S sorted place, round after round, R round, N chunk, K token of a chunk,
H head, D head width, C width of the hidden states.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers.models.reformer.modeling_reformer import LSHSelfAttention, LSHSelfAttentionOutput

from leanformer.attention.convert.heads import TakesOver, refuse_weights
from leanformer.attention.convert.reformer_hash import drawn, factors_of, hashed
from leanformer.attention.convert.reformer_local import ring_of
from leanformer.attention.convert.ring import Mask, Ring, ring_attention
from leanformer.attention.kernels.blocked import Kernel, sdpa
from leanformer.attention.kernels.partial import merge_partials, partial_attention
from leanformer.attention.positions import unless_whole

NAMES = ("LSHSelfAttention",)


class ConvertedLSH(TakesOver, LSHSelfAttention):  # type: ignore[misc]  # transformers is untyped
    """Takes the place of an `LSHSelfAttention`, with its weights under their names.

    Raises:
        ValueError: A number of buckets is odd.
    """

    def __init__(self, theirs: Any) -> None:
        factors_of(theirs.num_buckets)  # refuses odd ones
        super().__init__(theirs)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        num_hashes: int | None = None,
        buckets: Tensor | None = None,
        past_buckets_states: Any = None,
        use_cache: bool = False,
        output_attentions: bool = False,
        **kwargs: Any,
    ) -> LSHSelfAttentionOutput:
        """What each token takes from those with similar hashes, [B, T, H * D], and the buckets.

        Args:
            hidden_states: [B, T, C].
            attention_mask: [B, T] 0 = hidden; None = all are there.
            num_hashes: Rounds; None = as configured.
            buckets: [B, H, R, T] what a call before gave, to sort alike; None = hash.
            past_buckets_states: transformers' cache; where it has this layer, `hidden_states` is
                the next token.
            use_cache: Not minded: the layer around fills the cache.
            output_attentions: Must be False.
            kwargs: Not minded, as in transformers.

        Raises:
            ValueError: Weights are asked for, or what is sorted is no number of chunks.
        """
        refuse_weights(output_attentions)
        if past_buckets_states is not None and len(past_buckets_states) > self.layer_idx:
            return super().forward(
                hidden_states,
                attention_mask,
                num_hashes,
                buckets,
                past_buckets_states,
                use_cache,
                **kwargs,
            )
        attention_mask = unless_whole(attention_mask)
        heads = (self.num_attention_heads, -1)
        query, value = (
            layer(hidden_states).unflatten(2, heads) for layer in (self.query_key, self.value)
        )
        if hidden_states.shape[1] <= self.chunk_length:
            mixed = self._whole(query, value, attention_mask)
        else:
            rounds = self.num_hashes if num_hashes is None else num_hashes
            buckets = self._buckets(query, rounds, attention_mask, buckets)
            mixed = self._sorted(query, value, attention_mask, buckets)
        return LSHSelfAttentionOutput(
            hidden_states=mixed.flatten(2), attention_probs=(), buckets=buckets
        )

    def _whole(
        self, query_BTHD: Tensor, value_BTHD: Tensor, attention_mask: Tensor | None
    ) -> Tensor:
        """A text of one chunk at most, which needs no hashes, [B, T, H, D]."""
        batch, length, _, _ = query_BTHD.shape
        places = torch.arange(length, device=query_BTHD.device).view(1, 1, length, 1)
        keep = None
        if attention_mask is not None:
            keep = attention_mask.to(torch.bool).view(batch, 1, length, 1)
        key_BTHD, ring = self._keys(query_BTHD), Ring(1, length)
        return self._attended(query_BTHD, key_BTHD, value_BTHD, ring, places, keep, 1)

    def _sorted(
        self,
        query_BTHD: Tensor,
        value_BTHD: Tensor,
        attention_mask: Tensor | None,
        buckets_BHRT: Tensor,
    ) -> Tensor:
        """The text sorted, attended to, and brought back into order, [B, T, H, D]."""
        _, length, heads, _ = query_BTHD.shape
        rounds = buckets_BHRT.shape[2]
        ring = ring_of(self, rounds * length)
        order_BSH = buckets_BHRT.flatten(2).argsort(dim=-1, stable=True).transpose(1, 2)
        places_BSH = order_BSH % length
        places_BNKH = places_BSH.unflatten(1, (ring.count, ring.size))
        keep = None
        if attention_mask is not None:
            keep_BT1 = attention_mask.to(torch.bool)[..., None].expand(-1, -1, heads)
            keep = keep_BT1.gather(1, places_BSH).view_as(places_BNKH)
        texts = (query_BTHD, self._keys(query_BTHD), value_BTHD)
        query, key, value = (_taken(x, places_BSH) for x in texts)
        part = self._attended(query, key, value, ring, places_BNKH, keep, rounds)
        part = _taken(part, order_BSH.argsort(1))
        if rounds == 1:
            return part
        return merge_partials(list(part.unflatten(1, (rounds, length)).unbind(1)), query_BTHD.dtype)

    def _attended(
        self,
        query_BSHD: Tensor,
        key_BSHD: Tensor,
        value_BSHD: Tensor,
        ring: Ring,
        places_BNKH: Tensor,
        keep_BNKH: Tensor | None,
        rounds: int,
    ) -> Tensor:
        """What each token takes in its chunk, [B, S, H, D]; a part of it if there are rounds."""
        dropout = (self.dropout or 0.0) if self.training else 0.0
        kernel: Kernel = sdpa(1.0, dropout)
        if rounds > 1:
            kernel = partial(partial_attention, scaling=1.0, dropout=dropout)
        half = query_BSHD.dtype == torch.float16
        hidden, itself = (-1e4, -1e3) if half else (-1e9, -1e5)
        mask = Mask(places_BNKH, keep_BNKH, self.is_decoder, hidden, itself)
        return ring_attention(query_BSHD, key_BSHD, value_BSHD, ring, mask, kernel)

    def _keys(self, query_BTHD: Tensor) -> Tensor:
        """The same vectors, of length 1."""
        return self._len_and_dim_norm(query_BTHD, self.attention_head_size**0.5)

    def _buckets(
        self,
        query_BTHD: Tensor,
        rounds: int,
        attention_mask: Tensor | None,
        given: Tensor | None,
    ) -> Tensor:
        """The bucket of each token, [B, H, R, T]: the given ones, or from hashes."""
        _, length, heads, width = query_BTHD.shape
        if self.num_buckets is None:
            self._set_num_buckets(length)
        if given is not None:
            given = given.view(len(query_BTHD), heads, -1, length)
            rounds = given.shape[2]
            if not self.training:
                return given
        factors = factors_of(self.num_buckets)
        shape = (heads, width, rounds, sum(factors) // 2)
        rotations = drawn(shape, self.hash_seed, query_BTHD)
        return hashed(query_BTHD, rotations, factors, attention_mask) if given is None else given


def _taken(x_BTHD: Tensor, order_BSH: Tensor) -> Tensor:
    """Tokens in another order for each head, [B, S, H, D]; whole rows are copied."""
    batch, length, heads, width = x_BTHD.shape
    texts = torch.arange(batch, device=order_BSH.device)[:, None, None]
    rows = (texts * length + order_BSH) * heads + torch.arange(heads, device=order_BSH.device)
    return x_BTHD.reshape(-1, width).index_select(0, rows.flatten()).view(batch, -1, heads, width)
