"""XLNet's self-attention: scores that also know how far apart, and in which segments, tokens are.

    score_ts = ((q_t + w) . k_s + (q_t + r) . p_(t - s) + (q_t + z) . e_[segments differ]) / sqrt(D)

k_s comes from the token, p from the distance, e is one of two vectors a head; w, r, z are
`r_w_bias`, `r_r_bias`, `r_s_bias`. Keys and values are of the memories too, which stand before the
text. The content stream h is asked with its own tokens, the query stream g, in pretraining, with
the places that are to be predicted. What is kept of transformers' module: all of this, the masks
of both streams, the weights dropped in training, and that a query that sees nothing (the first
to be predicted) takes the mean of all values; in float16, whose numbers cannot drown its scores
wholly, another mixture of them.

It is computed otherwise. The second and third term are made for a block of queries at a time, and
torch's `scaled_dot_product_attention` adds the first and mixes the values:

- transformers multiplies each query with all distances of the text, twice as many as a query has
  keys. A block of K queries needs its keys and K more, and what it multiplied is shifted without
  a copy: row t of that product begins one place later than row t + 1 (Transformer-XL's trick);
- p is made once where the texts share the distances, as in evaluation, and not once a text;
- of the two segment scores only the difference is added, where segments differ: what is added to
  a whole row changes no softmax. `seg_mat` must be one-hot, as the model makes it;
- in evaluation no score outlives its block.

Legend: B batch, H head, T token, S key (memories first), P distance, D head width, C width of the
hidden states, L place of the query stream; b is B, or 1 where all texts have the same.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.attention.convert.heads import join_heads, refuse_weights
from leanformer.attention.kernels.blocked import BLOCK, sdpa

NAMES = ("XLNetRelativeAttention",)
PARAMETERS = ("q", "k", "v", "o", "r", "r_r_bias", "r_s_bias", "r_w_bias", "seg_embed")


class ConvertedXLNet(nn.Module):
    """Takes the place of an `XLNetRelativeAttention`, with its weights under their names."""

    q: nn.Parameter
    k: nn.Parameter
    v: nn.Parameter
    o: nn.Parameter
    r: nn.Parameter
    r_r_bias: nn.Parameter
    r_s_bias: nn.Parameter
    r_w_bias: nn.Parameter
    seg_embed: nn.Parameter

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.n_head: int = theirs.n_head
        self.d_head: int = theirs.d_head
        self.d_model: int = theirs.d_model
        self.scale: float = theirs.scale
        for name in PARAMETERS:
            self.register_parameter(name, getattr(theirs, name))
        self.layer_norm: nn.Module = theirs.layer_norm
        self.dropout: nn.Dropout = theirs.dropout
        self.training = theirs.training

    def forward(
        self,
        h: Tensor,
        g: Tensor | None,
        attn_mask_h: Tensor | None,
        attn_mask_g: Tensor | None,
        r: Tensor,
        seg_mat: Tensor | None,
        mems: Tensor | None = None,
        target_mapping: Tensor | None = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Both streams after this layer, [T, B, C] and, where there is g, of its shape.

        Args:
            h: [T, B, C] the content stream.
            g: [L, B, C] the query stream; None = there is none.
            attn_mask_h: [T, S, b, 1] above 0 where h must not look; None = everywhere it may.
            attn_mask_g: The same for g.
            r: [P, B, C] what each distance is, the farthest back first: S, S - 1, ..., 1 - T; or
                down to 0, where the model looks back alone.
            seg_mat: [T, S, B, 2] one-hot: 1 in the second place where segments differ; None =
                there are no segments.
            mems: [S - T, B, C] hidden states of the text before; None = there are none.
            target_mapping: [L, T, B] 1 where a query of g is a place of the text; None = L is T
                and each is its own.
            output_attentions: Must be False.

        Raises:
            ValueError: Weights are asked for, which are never written down.
        """
        refuse_weights(output_attentions)
        seen_SBC = h if mems is None or mems.dim() < 2 else torch.cat([mems, h])
        key, value = (self._heads(seen_SBC, weight) for weight in (self.k, self.v))
        position = self._positions(r, len(h), len(seen_SBC))

        def attend(query_BHTD: Tensor, mask: Tensor | None) -> Tensor:
            return self._attend(query_BHTD, key, value, position, seg_mat, mask)

        own_h = self._heads(h, self.q)
        output_h = self._after(h, attend(own_h, attn_mask_h))
        if g is None:
            return output_h, None
        own_g = self._heads(g, self.q)
        if target_mapping is None:
            return output_h, self._after(g, attend(own_g, attn_mask_g))
        places_BLT = target_mapping.permute(2, 0, 1)[:, None]
        mixed = places_BLT @ attend(places_BLT.mT @ own_g, attn_mask_g)
        return output_h, self._after(g, mixed)

    def _heads(self, x_TBC: Tensor, weight_CHD: Tensor) -> Tensor:
        """What a projection makes of hidden states, [B, H, T, D]."""
        projected = x_TBC @ weight_CHD.flatten(1)
        return projected.unflatten(2, (self.n_head, self.d_head)).permute(1, 2, 0, 3)

    def _positions(self, r_PBC: Tensor, queries: int, keys: int) -> Tensor:
        """The keys of distances S, S - 1, ..., 1 - T, [b, H, S + T, D]."""
        shared = r_PBC.stride(1) == 0  # so the model expands it, but for what training drops
        r_PbC = r_PBC[:, :1] if shared else r_PBC
        position = self._heads(r_PbC.to(self.r.dtype), self.r)
        # a model that looks back alone has no distances of later keys; it hides them
        return F.pad(position, (0, 0, 0, queries + keys - len(r_PBC)))

    def _attend(
        self,
        query_BHTD: Tensor,
        key_BHSD: Tensor,
        value_BHSD: Tensor,
        position_bHPD: Tensor,
        seg_mat: Tensor | None,
        mask: Tensor | None,
    ) -> Tensor:
        """What a stream's queries take from the values, [B, H, T, D]."""
        queries, keys = query_BHTD.shape[2], key_BHSD.shape[2]
        kernel = sdpa(self.scale, self.dropout.p if self.training else 0.0)
        far = torch.finfo(query_BHTD.dtype).max / 4  # leaves nothing of a score
        pieces = []
        for first in range(0, queries, BLOCK):
            last = min(first + BLOCK, queries)
            query = query_BHTD[:, :, first:last]
            near = position_bHPD[:, :, queries - last : queries - first + keys]
            bias = shifted(self._scaled(query, self.r_r_bias), near)
            if seg_mat is not None:
                apart = seg_mat[first:last, :, :, 1].permute(2, 0, 1)[:, None]
                between_HD1 = (self.seg_embed[1] - self.seg_embed[0])[..., None]
                bias = torch.addcmul(bias, apart, self._scaled(query, self.r_s_bias) @ between_HD1)
            if mask is not None:
                hidden = mask[first:last].permute(2, 3, 0, 1)
                bias = torch.add(bias, hidden, alpha=-far)
            content = query + self.r_w_bias[:, None]
            pieces.append(kernel(content, key_BHSD, value_BHSD, bias.contiguous()))
        return torch.cat(pieces, 2)

    def _scaled(self, query_BHTD: Tensor, bias_HD: Tensor) -> Tensor:
        return (query_BHTD + bias_HD[:, None]) * self.scale

    def _after(self, x_TBC: Tensor, mixed_BHTD: Tensor) -> Tensor:
        """The stream with what its heads took, projected and normalised, [T, B, C]."""
        mixed_TBC = join_heads(mixed_BHTD).transpose(0, 1) @ self.o.flatten(1).T
        return self.layer_norm(self.dropout(mixed_TBC) + x_TBC)


def shifted(query_BHTD: Tensor, position_bHPD: Tensor) -> Tensor:
    """Products with the distances, row t from distance T - t on, [B, H, T, P - T]: a view.

    Read as one text of T * P numbers without its first T, and cut into rows of P - 1, each row
    begins one number earlier than the one before.
    """
    batch, _, tokens, _ = query_BHTD.shape
    if len(position_bHPD) == 1:  # one product for all texts, where broadcasting would copy
        query_HTD = query_BHTD.transpose(0, 1).flatten(1, 2)
        scores = (query_HTD @ position_bHPD[0].mT).unflatten(1, (batch, tokens)).transpose(0, 1)
    else:
        scores = query_BHTD @ position_bHPD.mT
    keys = scores.shape[3] - tokens
    return scores.flatten(2)[..., tokens:].unflatten(2, (tokens, -1))[..., :keys]
