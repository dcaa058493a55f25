"""What attention is given, layer by layer: the queries, keys and values of a forward pass.

transformers 5 returns attention probabilities only from its slow eager path, and never the scores
before the softmax. Every model calls an attention *function* by name, though; ours notes what it
is given and lets SDPA do the work. A model that attends eagerly goes on so, with the scores that
are noted: they are computed once.

    with attended(model) as layers:
        model(**inputs)
    layers[0].scores()      [B, H, T, S]

Legend: B batch, H head, J key head, T token, S key token, K head width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

NAME = "leanformer-attended"


@dataclass(frozen=True)
class Attended:
    """What the attention of one layer is given.

    Attributes:
        query: [B, H, T, K], positions already rotated in where the family does so.
        key: [B, J, S, K].
        value: [B, J, S, K].
        scaling: Factor of the scores.
        allowed: [B or 1, 1, T, S] True where a query may look; None = everywhere.
        computed: The scores, where the model has computed them already.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    scaling: float
    allowed: Tensor | None = None
    computed: Tensor | None = None

    def scores(self) -> Tensor:
        """Scores before the softmax and before any mask, [B, H, T, S]."""
        if self.computed is not None:
            return self.computed
        key = self.key.repeat_interleave(self.query.shape[1] // self.key.shape[1], dim=1)
        return self.query @ key.transpose(-1, -2) * self.scaling


@contextmanager
def attended(model: Any) -> Iterator[list[Attended]]:
    """Within it, each layer that runs adds what it is given to the list, first layer first.

    Raises:
        ValueError: The model's attention does not go through transformers' `AttentionInterface`.
    """
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    if model.config._attn_implementation != NAME:
        raise ValueError(
            f"{type(model).__name__}: its attention cannot be observed, because it does not go "
            "through transformers' AttentionInterface; compare hidden states instead"
        )
    layers: list[Attended] = []
    token = _NOTES.set((layers, before == "eager"))
    try:
        yield layers
    finally:
        _NOTES.reset(token)
        model.set_attn_implementation(before)


_NOTES: ContextVar[tuple[list[Attended], bool]] = ContextVar("layers that ran, and whether eagerly")


def _noted(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **others: Any,
) -> Any:
    factor = query.shape[-1] ** -0.5 if scaling is None else scaling
    allowed = attention_mask
    if allowed is None and _causal(module, others):
        # Without padding SDPA is told "causal" instead of being handed a mask.
        tokens, seen = query.shape[2], key.shape[2]
        whole = torch.ones(tokens, seen, dtype=torch.bool, device=query.device)
        allowed = whole.tril(seen - tokens)[None, None]
    if allowed is not None and allowed.dtype != torch.bool:
        allowed = allowed == 0  # added to the scores: 0 or the lowest number
    layers, eager = _NOTES.get()
    given = Attended(query, key, value, factor, allowed)
    if eager:
        given = replace(given, computed=given.scores())
        layers.append(given)
        return _mixed(given, others.get("dropout", 0.0)), None
    layers.append(given)
    return sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, **others
    )


def _mixed(given: Attended, dropout: float) -> Tensor:
    """Values mixed by the softmax of the scores, [B, T, H, K]."""
    scores = given.scores()
    if given.allowed is not None:
        scores = scores.masked_fill(~given.allowed, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))
    weights = F.dropout(weights.to(given.value.dtype), dropout)
    value = given.value.repeat_interleave(scores.shape[1] // given.value.shape[1], dim=1)
    return (weights @ value).transpose(1, 2).contiguous()


def _causal(module: Any, others: dict[str, Any]) -> bool:
    """As SDPA decides it."""
    said = others.get("is_causal")
    return bool(getattr(module, "is_causal", True) if said is None else said)


AttentionInterface.register(NAME, _noted)
AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
