"""What a call of transformers' attention interface asks for, and which of it mechanisms support.

A mechanism supports causality, key padding, the scaling and dropout. Whether a call is causal is
decided by the mask function of the call, as dense attention decides it; the module's `is_causal`
counts only where the model makes no mask. Whatever else a call asks for is named, so that it can be
refused instead of dropped.

Legend: B batch, H head, J key head, T token, S key token, D head width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from transformers.masking_utils import (
    bidirectional_mask_function,
    causal_mask_function,
    prepare_padding_mask,
    sdpa_mask,
)
from transformers.utils.import_utils import is_tracing

HARMLESS = {
    "cache": "the keys of the call are those of the cache already",
    "cache_position": "the keys of the call are those of the cache already",
    "deterministic": "of the backward pass of FlashAttention alone",
    "input_ids": "attention sees queries and keys alone",
    "is_causal": "decides causality where there is no mask, see `read_request`",
    "labels": "of the model's loss",
    "logits_to_keep": "of the model's head",
    "num_items_in_batch": "of the model's loss",
    "output_attentions": "of what the model returns; True is refused, as there are no weights",
    "output_hidden_states": "of what the model returns",
    "output_router_logits": "of what the model returns",
    "past_key_values": "the keys of the call are those of the cache already",
    "position_embeddings": "queries and keys are rotated already",
    "position_ids": "queries and keys are rotated already; packed texts are found in the mask",
    "return_dict": "of what the model returns",
    "token_type_ids": "the embeddings have added them, where there are any",
    "use_cache": "the keys of the call are those of the cache already",
}
"""Arguments of a call that change nothing of what attention computes, and why."""

DENSE = {
    "position_bias": "torch's dense attention adds it",
    "sliding_window": "the mask has it already",
}
"""Arguments that a layer which stays dense honors besides, and why."""

_PARTS = {
    "blockwise_overlay": "blocks that are bidirectional within",
    "chunked_overlay": "chunks",
    "packed_sequence_mask_function": "packed sequences",
    "remap_positions_for_packed_sequence": "packed sequences",
    "sliding_window_bidirectional_overlay": "a sliding window",
    "sliding_window_overlay": "a sliding window",
}


@dataclass
class MaskSpec:
    """What transformers would make a mask of.

    transformers takes masks of four dimensions as they are, and this as one of them.

    Attributes:
        arguments: As `transformers.masking_utils.sdpa_mask` takes them.
    """

    arguments: dict[str, Any]
    _made: dict[str, Tensor | None] = field(default_factory=dict)

    ndim = 4

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the mask, [B, 1, T, S]."""
        batch, tokens, seen = (
            self.arguments[key] for key in ("batch_size", "q_length", "kv_length")
        )
        return batch, 1, tokens, seen

    @property
    def causal(self) -> bool | None:
        """Whether a token sees itself and earlier ones alone; None = neither that nor all."""
        function = self.arguments["mask_function"]
        if function is causal_mask_function:
            return True
        return False if function is bidirectional_mask_function else None

    @property
    def keep_BS(self) -> Tensor | None:
        """True at keys that are there; None = all, which is found once per forward pass."""
        if "keep" not in self._made:
            self._made["keep"] = self._keep()
        return self._made["keep"]

    def _keep(self) -> Tensor | None:
        given: Tensor | None = self.arguments["attention_mask"]
        if given is None:
            return None
        seen = self.arguments["kv_length"]
        later = given.shape[-1] < seen  # a cache with room for keys that causality hides anyway
        if not is_tracing(given) and (self.causal or not later) and bool(given.all()):
            return None
        return prepare_padding_mask(given, seen, 0).bool()

    def dense(self) -> Tensor | None:
        """The mask itself, [B, 1, T, S]; None where SDPA needs none."""
        if "dense" not in self._made:
            self._made["dense"] = sdpa_mask(**self.arguments)
        return self._made["dense"]


Mask = MaskSpec | Tensor | None
"""What a model hands to an attention function as `attention_mask`."""


@dataclass(frozen=True)
class Request:
    """What one call asks for.

    Attributes:
        causal: Whether tokens attend to earlier ones alone; None = both are the same here, or
            neither.
        unsupported: What no mechanism supports, in words that name the argument.
        lost: What not even torch's dense attention would honor.
    """

    causal: bool | None
    unsupported: tuple[str, ...]
    lost: tuple[str, ...]


def read_request(
    module: Any,
    query_BHTD: Tensor,
    key_BJSD: Tensor,
    mask: Mask,
    others: Mapping[str, Any],
) -> Request:
    """Read a call of the attention interface.

    Args:
        module: The attention module.
        query_BHTD: Queries.
        key_BJSD: Keys.
        mask: What the model hands on as `attention_mask`.
        others: The arguments that are not in the signature of every attention function.
    """
    unknown = tuple(
        name
        for name, value in others.items()
        if value is not None and name not in HARMLESS and name not in DENSE
    )
    if others.get("output_attentions"):
        unknown += ("output_attentions",)
    known = tuple(name for name in DENSE if others.get(name) is not None)
    masked = _more_than_padding(mask, query_BHTD, key_BJSD)
    return Request(
        causal=_causal(module, query_BHTD, mask, others),
        unsupported=(*unknown, *known, *masked),
        lost=unknown,
    )


def _causal(module: Any, query_BHTD: Tensor, mask: Mask, others: Mapping[str, Any]) -> bool | None:
    """As torch's dense attention is in transformers."""
    if isinstance(mask, MaskSpec):
        return mask.causal
    if mask is not None or query_BHTD.shape[2] == 1:
        return None
    return is_causal_call(module, others)


def is_causal_call(module: Any, others: Mapping[str, Any]) -> bool:
    """Whether torch's dense attention is causal where it is given no mask."""
    said = others.get("is_causal")
    return bool(getattr(module, "is_causal", True) if said is None else said)


def _more_than_padding(mask: Mask, query_BHTD: Tensor, key_BJSD: Tensor) -> tuple[str, ...]:
    """What a mask asks for besides causality and padding, at most one thing, in words."""
    if mask is None:
        return ()
    if not isinstance(mask, MaskSpec):
        return (f"attention_mask (one of T x S, {list(mask.shape)})",)
    if mask.causal is None:
        parts = " and ".join(mask_parts(mask.arguments["mask_function"]))
        return (f"attention_mask ({parts or 'one that transformers composed'})",)
    made = mask.shape[2:]
    if made != (query_BHTD.shape[2], key_BJSD.shape[2]) or mask.arguments["kv_offset"]:
        found = [query_BHTD.shape[2], key_BJSD.shape[2]]
        return (f"attention_mask (one of {list(made)} over {found} queries and keys)",)
    return ()


def mask_parts(function: Callable[..., Any]) -> tuple[str, ...]:
    """What a composed mask function asks for besides causality, in words, each once."""
    if function in (causal_mask_function, bidirectional_mask_function):
        return ()
    name = getattr(function, "__qualname__", type(function).__name__).split(".")[0]
    found = [] if name in ("and_masks", "or_masks") else [_PARTS.get(name, name)]
    for cell in getattr(function, "__closure__", None) or ():
        held = cell.cell_contents
        for part in held if isinstance(held, tuple) else (held,):
            if callable(part):
                found += mask_parts(part)
    return tuple(dict.fromkeys(found))
