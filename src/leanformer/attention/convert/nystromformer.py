"""Nyströmformer's self-attention: landmarks stand between all pairs.

    O = softmax(Q K~^T)  pinv(softmax(Q~ K~^T))  softmax(Q~ K^T + mask)  V  + conv(V)

What is kept of transformers' module, so that its checkpoints mean the same:

- texts are `segment_means_seq_len` tokens long, and landmarks are means over all of them, padding
  included; the mask hides padding as keys of the last softmax alone;
- the pseudo-inverse begins at A^T over the largest column sum of the whole batch, so that a text's
  output depends a little on what it is batched with.

`leanformer.attention.Nystrom` does neither, and is what to train with. What is mended: transformers
5 hands down a mask of T x T, of which its own code cannot add M rows. Padded texts fail there; here
they are computed by the mask's first row, which all others equal.

It is computed otherwise: the products are taken from the right, so that the two long softmaxes are
attentions of their own, by torch's fused kernel; nothing of T x M is written down.

Legend: B batch, H head, T token, M landmark, D head width, C width of the hidden states.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.attention.convert.heads import join_heads, refuse_weights, split_heads
from leanformer.attention.mechanisms.nystrom import pseudo_inverse
from leanformer.attention.positions import unless_whole

NAMES = ("NystromformerSelfAttention",)


class ConvertedNystromformer(nn.Module):
    """Takes the place of a `NystromformerSelfAttention`, with its weights under their names."""

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.num_heads: int = theirs.num_attention_heads
        self.num_landmarks: int = theirs.num_landmarks
        self.length: int = theirs.seq_len
        self.whole_batch: bool = theirs.init_option == "original"
        for name in ("query", "key", "value"):
            self.add_module(name, getattr(theirs, name))
        self.conv: nn.Module | None = getattr(theirs, "conv", None)
        self.training = theirs.training

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor]:
        """What each token takes from the others, [B, T, C].

        Args:
            hidden_states: [B, T, C].
            attention_mask: [B, 1, 1 or T, T] True at places of the text; or added, 0 there.
            output_attentions: Must be False.

        Raises:
            ValueError: The text is not as long as the landmarks are laid over, or weights are asked
                for, which are never written down.
        """
        refuse_weights(output_attentions)
        if attention_mask is not None:
            whole = attention_mask if attention_mask.dtype == torch.bool else attention_mask == 0
            attention_mask = None if unless_whole(whole) is None else attention_mask
        query, key, value = (
            split_heads(self.get_submodule(name)(hidden_states), self.num_heads)
            for name in ("query", "key", "value")
        )
        scale = query.shape[-1] ** -0.25
        query, key = query * scale, key * scale
        if self.num_landmarks == self.length:
            mixed = _attention(query, key, value, attention_mask)
        else:
            mixed = self._by_landmarks(query, key, value, attention_mask)
        if self.conv is not None:
            mixed = mixed + self.conv(value)
        return (join_heads(mixed),)

    def _by_landmarks(
        self, query_BHTD: Tensor, key_BHTD: Tensor, value_BHTD: Tensor, mask: Tensor | None
    ) -> Tensor:
        length = query_BHTD.shape[2]
        if length != self.length or length % self.num_landmarks:
            raise ValueError(
                f"hidden_states: {length} tokens, and {self.num_landmarks} landmarks are laid over "
                f"segment_means_seq_len = {self.length} of them; pad texts to that length"
            )
        queries, keys = (
            x.unflatten(2, (self.num_landmarks, -1)).mean(3) for x in (query_BHTD, key_BHTD)
        )
        small = (queries @ keys.mT).softmax(-1)
        columns = small.sum(-2)
        most = columns.max() if self.whole_batch else columns.amax(-1)[:, :, None, None]
        inverse = pseudo_inverse(small, start=small.mT / most)
        held = inverse @ _attention(queries, key_BHTD, value_BHTD, mask)
        return _attention(query_BHTD, keys, held, None)


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    if mask is not None:
        mask = mask[:, :, :1].expand(-1, -1, query.shape[2], -1)
        mask = mask if mask.dtype == torch.bool else mask.to(query.dtype)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
