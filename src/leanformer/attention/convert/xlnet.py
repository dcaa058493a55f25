"""XLNet's relative attention: content, distance and segment of a key, in one fused softmax.

    score_ij = (q_i + u) . k_j  +  (q_i + v) . r_(i-j)  +  (q_i + w) . s_(same segment?)

The first term is what torch's fused kernel computes; the other two, and the mask, are what is added
to its scores. The distances are shifted into their places by a view: row i of the products with all
distances begins one number later than row i - 1 does, so that cutting the first row's length off
the flattened products lines the rows up. transformers copies them twice for that, and writes the
content's scores down beside them. Both streams and memories run through it, and a call that asks
for weights is left to transformers.

Legend: I query, J key, P distance, B batch, N head, D head width.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.models.xlnet.modeling_xlnet import XLNetRelativeAttention

from leanformer.attention.convert.heads import TakesOver

NAMES = ("XLNetRelativeAttention",)
_HIDDEN = 1e30  # as theirs: a row that sees nothing is the mean of all


class ConvertedXLNet(TakesOver, XLNetRelativeAttention):  # type: ignore[misc]  # no types there
    """Takes the place of an `XLNetRelativeAttention`, with its parameters under their names."""

    def rel_attn_core(
        self,
        q_head: Tensor,
        k_head_h: Tensor,
        v_head_h: Tensor,
        k_head_r: Tensor,
        seg_mat: Tensor | None = None,
        attn_mask: Tensor | None = None,
        output_attentions: bool = False,
    ) -> Any:
        """What each query takes from the keys, [I, B, N, D]; with weights, as transformers does.

        Args:
            q_head: [I, B, N, D] queries.
            k_head_h: [J, B, N, D] keys.
            v_head_h: [J, B, N, D] values.
            k_head_r: [P, B, N, D] embedded distances.
            seg_mat: [I, J, B, 2] one-hot: of one segment, or of two.
            attn_mask: [I, J, B or 1, 1] 1 where a key is hidden.
            output_attentions: Whether weights are asked for.
        """
        if output_attentions:
            return super().rel_attn_core(
                q_head, k_head_h, v_head_h, k_head_r, seg_mat, attn_mask, output_attentions
            )
        position = (q_head + self.r_r_bias).permute(1, 2, 0, 3) @ k_head_r.permute(1, 2, 3, 0)
        bias = shifted(position, k_head_h.shape[0])
        if seg_mat is not None:
            segment = torch.einsum("ibnd,snd->bnis", q_head + self.r_s_bias, self.seg_embed)
            is_BIJS = seg_mat.permute(2, 0, 1, 3)[:, None]
            bias = bias + is_BIJS[..., 0] * segment[..., :1] + is_BIJS[..., 1] * segment[..., 1:]
        bias = bias * self.scale
        if attn_mask is not None:
            hidden = 65500 if attn_mask.dtype == torch.float16 else _HIDDEN
            bias = bias - hidden * attn_mask.permute(2, 3, 0, 1)
        mixed = F.scaled_dot_product_attention(
            (q_head + self.r_w_bias).permute(1, 2, 0, 3),
            k_head_h.permute(1, 2, 0, 3),
            v_head_h.permute(1, 2, 0, 3),
            attn_mask=bias,
            dropout_p=self.dropout.p if self.training else 0.0,
            scale=self.scale,
        )
        return mixed.permute(2, 0, 1, 3)


def shifted(product_BNIP: Tensor, keys: int) -> Tensor:
    """The products with all distances, each at the key of that distance, [B, N, I, J]; a view."""
    queries, distances = product_BNIP.shape[2:]
    flat = product_BNIP.flatten(2)[..., queries:]
    return flat.unflatten(2, (queries, distances - 1))[..., :keys]
