"""Whoever observes attention while a model runs, and the note that is made of each call.

Legend: B batch, H head, J key head, T token, S key token, K head width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.models.attention.inputs import AttentionInputs, Mechanism
from leanformer.models.attention.requests import Mask, MaskSpec, Request, is_causal_call


@dataclass(frozen=True)
class Observer:
    """Who notes the calls of attention layers.

    Attributes:
        attends: What computes meanwhile: what the model attends by without being observed; or
            "probe": like "mechanism", but what a call asks for and nobody honors is left out
            instead of being refused, for the prober judges it.
        names: Names of modules in whose place a mechanism attends, by their identity.
        layers: The calls so far.
    """

    attends: Literal["sdpa", "eager", "mechanism", "probe"]
    names: dict[int, str] = field(default_factory=dict)
    layers: list[AttentionInputs] = field(default_factory=list)

    @property
    def plain(self) -> bool:
        """Whether mechanisms take no part, so that masks are the dense ones."""
        return self.attends in ("sdpa", "eager")

    def note(
        self,
        module: Any,
        qkv: tuple[Tensor, Tensor, Tensor],
        mask: Mask,
        scaling: float | None,
        others: dict[str, Any],
        request: Request,
        mechanism: Mechanism | None,
    ) -> AttentionInputs:
        """Add what one call is given to `layers`, and return it."""
        factor = qkv[0].shape[-1] ** -0.5 if scaling is None else scaling
        inputs = AttentionInputs(*qkv, factor, module=module, request=request)
        if mechanism is not None:
            keep = mask.keep_BS if isinstance(mask, MaskSpec) else None
            name = self.names.get(id(module), type(module).__name__)
            inputs = replace(inputs, layer=name, mechanism=mechanism, keep=keep)
        elif self.attends != "probe":  # which asks for no scores
            inputs = replace(inputs, allowed=_allowed(module, qkv[0], qkv[1], mask, others))
        if self.attends == "eager":
            inputs = replace(inputs, computed=inputs.scores())
        self.layers.append(inputs)
        return inputs


OBSERVERS: list[Observer] = []  # no ContextVar: torch.compile cannot read one


@contextmanager
def observing(observer: Observer) -> Iterator[list[AttentionInputs]]:
    """Within it each call of our function is noted; of nested observers the inner one notes."""
    OBSERVERS.append(observer)
    try:
        yield observer.layers
    finally:
        OBSERVERS.pop()


def _allowed(
    module: Any, query: Tensor, key: Tensor, mask: Mask, others: dict[str, Any]
) -> Tensor | None:
    """True where a query attends to a key in dense attention, [B or 1, 1, T, S]; None = always."""
    allowed = mask.dense() if isinstance(mask, MaskSpec) else mask
    if allowed is None and is_causal_call(module, others):
        # Without padding SDPA is told "causal" instead of being handed a mask.
        tokens, seen = query.shape[2], key.shape[2]
        whole = torch.ones(tokens, seen, dtype=torch.bool, device=query.device)
        return whole.tril(seen - tokens)[None, None]
    if allowed is not None and allowed.dtype != torch.bool:
        return allowed == 0  # added to the scores: 0 or the lowest number
    return allowed


def mixed_by(inputs: AttentionInputs, dropout: float) -> Tensor:
    """Values mixed by the softmax of the scores, [B, T, H, K]."""
    scores = inputs.computed
    assert scores is not None
    if inputs.allowed is not None:
        scores = scores.masked_fill(~inputs.allowed, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))
    weights = F.dropout(weights.to(inputs.value.dtype), dropout)
    value = inputs.value.repeat_interleave(scores.shape[1] // inputs.value.shape[1], dim=1)
    return (weights @ value).transpose(1, 2).contiguous()
