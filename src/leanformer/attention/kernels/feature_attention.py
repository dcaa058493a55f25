"""A feature map as a module: all products of features are the reference, sums of them do the work.

Long texts are gone through in segments, so that the memory for features is used again by the next
one: a CPU takes longer to get more of it than to fill it.

Legend: B batch, H head, T token, S key token, D head width, M feature.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from leanformer.attention.kernels.dense import visible
from leanformer.attention.kernels.features import (
    State,
    causal_linear_attention,
    query_state,
    update_state,
)
from leanformer.attention.kernels.in_blocks import joined
from leanformer.attention.mechanism import Attention

SEGMENT = 1024  # tokens; measured at 4k on Zen 4 against 256, 512 and 4096
SUMMED = 4096  # likewise at 16k against 1024, 2048 and 16384, where plain features are all there is


class FeatureAttention(Attention):
    """Attention by the feature maps that a mechanism fills in."""

    position_dependent = False
    log: ClassVar[bool] = False
    """Whether `features` gives logarithms."""

    @abstractmethod
    def features(self, x_BHTD: Tensor, scaling: float, *, query: bool) -> Tensor:
        """Features of queries or keys, [B, H, T, M], in float32 or wider.

        Args:
            x_BHTD: Queries or keys.
            scaling: What the scores of a softmax would be multiplied by.
            query: Whether they are queries: a factor of a whole query may be left out.
        """

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
        """See `Attention.reference`: all products of features, in float64."""
        query = self.features(query_BHTD, scaling, query=True).double()
        key = self.features(key_BHSD, scaling, query=False).double()
        if self.log:
            query = (query - query.amax(-1, keepdim=True)).exp()
            key = (key - key.amax((-1, -2), keepdim=True)).exp()
        weights = query @ key.transpose(-1, -2) * visible(keep_BS, at_BT, self.heads.causal)
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-300)
        return (weights @ value_BHSD.double()).to(query_BHTD.dtype)

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
        size = SEGMENT if self.log or self.heads.causal else SUMMED
        if query_BHTD.device.type != "cpu":
            size = query_BHTD.shape[2]
        queries, keys, values = (x.split(size, 2) for x in (query_BHTD, key_BHTD, value_BHTD))
        keeps = [None] * len(keys) if keep_BT is None else keep_BT.split(size, 1)
        state, mixed = None, []
        if self.heads.causal:
            for query, key, value, keep in zip(queries, keys, values, keeps, strict=True):
                asked = self.features(query, scaling, query=True)
                held = self.features(key, scaling, query=False)
                some, state = causal_linear_attention(state, asked, held, value, keep, log=self.log)
                mixed.append(some)
        else:
            for key, value, keep in zip(keys, values, keeps, strict=True):
                held = self.features(key, scaling, query=False)
                state = update_state(state, held, value, keep, log=self.log)
            assert state is not None
            for query in queries:
                asked = self.features(query, scaling, query=True)
                mixed.append(query_state(state, asked, log=self.log))
        return joined(mixed).to(query_BHTD.dtype)

    def step(
        self,
        query_BH1D: Tensor,
        key_BH1D: Tensor,
        value_BH1D: Tensor,
        state: State | None = None,
        *,
        scaling: float | None = None,
    ) -> tuple[Tensor, State]:
        """One token of a causal text, and the state after it: decoding with a memory of fixed size.

        Args:
            query_BH1D: Its query.
            key_BH1D: Its key, one head a query head.
            value_BH1D: Its value.
            state: After the token before it; None = it is the first.
            scaling: As in `forward`.
        """
        scaling = query_BH1D.shape[-1] ** -0.5 if scaling is None else scaling
        with torch.autocast(query_BH1D.device.type, enabled=False):  # it would round the sums
            key = self.features(key_BH1D, scaling, query=False)
            state = update_state(state, key, value_BH1D, log=self.log)
            mixed = query_state(state, self.features(query_BH1D, scaling, query=True), log=self.log)
        return mixed.to(query_BH1D.dtype), state


def widened(x: Tensor) -> Tensor:
    """At least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
