"""What the attention of one layer is given: queries, keys and values, and which keys count.

    a = scaling * q k^T                        scores, before any mask and the softmax
    o_t = sum_s softmax_s(a_ts) v_s            over the keys s that query t attends to

Legend: B batch, H head, J key head, T token, S key token, K head width.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from leanformer.models.attention.requests import Request


class Heads(Protocol):
    """What is known of the layer that a mechanism was built for."""

    @property
    def causal(self) -> bool:
        """Whether a token attends to earlier tokens and itself alone."""


class Mechanism(Protocol):
    """What attends in place of a layer's dense attention: `leanformer.attention` has the kinds."""

    @property
    def heads(self) -> Heads:
        """The layer it was built for."""

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        keep: Tensor | None,
        /,
        *,
        scaling: float | None,
        dropout: float,
        offset: int | None,
    ) -> Tensor:
        """Mixed values, [B, H, T, K]."""

    def dense_mask(self, keep_BT: Tensor) -> Tensor | None:
        """True where a query attends to a key, [B, H or 1, T, T]; None = the mechanism is not
        softmax attention under a mask that follows from positions alone."""


@dataclass(frozen=True)
class AttentionInputs:
    """What the attention of one layer is given.

    Attributes:
        query: [B, H, T, K], rotated by position already where the architecture does so.
        key: [B, J, S, K].
        value: [B, J, S, K].
        scaling: Factor of the scores.
        allowed: [B or 1, 1, T, S] True where a query attends to a key in dense attention; None =
            everywhere.
        computed: The scores, where the model has computed them already.
        module: The attention module.
        layer: Name of the module in the model, where a mechanism attends in its place.
        mechanism: What attends in place of dense attention; None = nothing does.
        keep: [B, S] True at keys that are not padding, for `mechanism`; None = all.
        request: What the call asks for; None = not looked at.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scaling: float
    allowed: Tensor | None = None
    computed: Tensor | None = None
    module: Any = None
    layer: str = ""
    mechanism: Mechanism | None = None
    keep: Tensor | None = None
    request: Request | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of queries, keys and values."""
        return tuple(tuple(x.shape) for x in (self.query, self.key, self.value))

    def mask(self) -> Tensor | None:
        """True where a query attends to a key, [B or 1, H or 1, T, S]; None = everywhere.

        Raises:
            ValueError: A mechanism attends that is not softmax attention under such a mask.
        """
        if self.mechanism is None:
            return self.allowed
        tokens, device = self.query.shape[2], self.query.device
        found = None
        if tokens == self.key.shape[2]:  # a whole text, not a step of decoding
            keep = self.keep
            if keep is None:
                keep = torch.ones(1, tokens, dtype=torch.bool, device=device)
            found = self.mechanism.dense_mask(keep)
        if found is None:
            raise ValueError(
                f"{self.layer}: {type(self.mechanism).__name__} attends in this layer and has no "
                "scores to compare with those of dense attention; compare relations, which need "
                "queries, keys and values alone, or hidden states, or leave the layer dense "
                "(`layers` of the attend step)"
            )
        return found

    def scores(self) -> Tensor:
        """Scores before the softmax and before any mask, [B, H, T, S]; only those that `mask` lets
        through take part in what the layer computes.

        Raises:
            ValueError: See `mask`.
        """
        if self.computed is not None:
            return self.computed
        if self.mechanism is not None:
            self.mask()
        key = self.key.repeat_interleave(self.query.shape[1] // self.key.shape[1], dim=1)
        return self.query @ key.transpose(-1, -2) * self.scaling
