"""Linformer: keys and values are projected along the text, to a few slots that all tokens read.

    K' = E K     V' = F V     O = softmax(scaling * Q K'^T) V'        E, F of shape [rank, length]

Attention matrices are nearly of low rank, so `rank` mixtures of keys stand in for all of them, and
time grows with the length alone. The mixtures are learned place by place: a shorter text uses the
first columns of E and F, hidden keys count as 0, and no token can be kept from seeing another, so
that there is no causal form.

Legend: B batch, H head (1 where shared), T token, S key token, R slot, D head width, P matrix.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.kernels.blocked import sdpa
from leanformer.attention.kernels.dense import mix
from leanformer.attention.kernels.fixed_length import refuse_longer
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.core.ranges import Count
from leanformer.core.technique import technique


def project(projection_HRS: Tensor, x_BHSD: Tensor, keep_BS: Tensor | None) -> Tensor:
    """Keys or values mixed into slots, E K, [B, H, R, D].

    Args:
        projection_HRS: The share of each place in each slot, for at least S or all real places.
        x_BHSD: Keys or values; the text stands first.
        keep_BS: True at places of the text; None = all.
    """
    if keep_BS is not None:
        x_BHSD = x_BHSD.masked_fill(~keep_BS[:, None, :, None], 0)
    places = min(projection_HRS.shape[-1], x_BHSD.shape[2])
    return projection_HRS[..., :places].to(x_BHSD.dtype) @ x_BHSD[:, :, :places]


class LinformerAttention(Attention):
    """Attention to learned mixtures of keys, built.

    Attributes:
        projection: [P, H or 1, R, max_length] E, then F; P is 1 where they are one matrix. Assign
            one module's to another's and both layers share it.
    """

    def __init__(self, mechanism: "Linformer", heads: Heads, max_length: int) -> None:
        super().__init__(heads, mechanism.capabilities)
        matrices = 1 if mechanism.sharing == "key-value" else 2
        copies = heads.num_heads if mechanism.sharing == "none" else 1
        self.projection = nn.Parameter(torch.empty(matrices, copies, mechanism.rank, max_length))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw random projections under which a slot is about as large as a token."""
        nn.init.normal_(self.projection, std=self.projection.shape[-1] ** -0.5)

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
        """See `Attention.reference`: the scores of all pairs, projected afterwards."""
        length = keep_BS.shape[1]
        refuse_longer(length, keep_BS, self.projection.shape[-1])
        masks = keep_BS.to(query_BHTD.dtype)[:, None, None]
        short = max(length - self.projection.shape[-1], 0)
        wide = nn.functional.pad(self.projection.to(query_BHTD.dtype), (0, short))[..., :length]
        scores = query_BHTD @ key_BHSD.transpose(-1, -2) * scaling
        scores_BHTR = scores * masks @ wide[0].transpose(-1, -2)
        slots = wide[-1] @ (value_BHSD * masks.transpose(-1, -2))
        return mix(scores_BHTR, slots, torch.ones_like(scores_BHTR, dtype=torch.bool), dropout)

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
        refuse_longer(key_BHTD.shape[2], keep_BT, self.projection.shape[-1])
        key_BHRD = project(self.projection[0], key_BHTD, keep_BT)
        value_BHRD = project(self.projection[-1], value_BHTD, keep_BT)
        return sdpa(scaling, dropout)(query_BHTD, key_BHRD, value_BHRD, None)


@technique("linformer", paper="Wang et al. 2020 (Linformer), arXiv:2006.04768")
class Linformer(Mechanism):
    """See a few learned mixtures of all keys: linear in the length, tied to the longest text."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        causal="no", cross=True, dropout=True, fixed_length=True, learned=True, swap="ruins"
    )

    rank: Count = 256
    """Slots that keys and values are mixed into, the paper's k."""
    sharing: Literal["none", "headwise", "key-value"] = "headwise"
    """What is shared: "none", each head has its E and F; "headwise", one E and one F for all
    heads; "key-value", one matrix for both and all heads. The paper's "layerwise" is one matrix
    for all layers, which no layer can see to alone: assign one's `projection` to the others."""

    def build(self, heads: Heads) -> Attention:
        """See `Mechanism.build`."""
        self.check(heads)
        assert heads.max_length is not None  # check has seen to it
        return LinformerAttention(self, heads, heads.max_length)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: two projections, and two products of each query with the slots."""
        scores = length * self.rank
        return Cost(flops=8 * scores * heads.head_dim, scores=scores)
