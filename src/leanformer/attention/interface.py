"""Our attention inside transformers' models: one function and one mask, registered by name.

transformers calls an attention function by the name in a model's configuration, and builds the mask
by the function of the same name. Ours hands on what the mask is made of instead of T x S numbers;
a layer that has an `efficient_attention` takes padding and offset from it, any other layer gets the
dense mask, made at first need and once a forward pass, and attends as it always did.

Legend: B batch, H head, J key head, T token, S key token, D head width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import (
    bidirectional_mask_function,
    causal_mask_function,
    sdpa_mask,
)

NAME = "leanformer-attention"
CORE = "efficient_attention"  # of an attention module: what attends in its place


@dataclass
class MaskSpec:
    """What transformers would make a mask of.

    Attributes:
        arguments: As `transformers.masking_utils.sdpa_mask` takes them.
    """

    arguments: dict[str, Any]
    _dense: list[Tensor | None] = field(default_factory=list)

    @property
    def keep_BS(self) -> Tensor | None:
        """True at keys that are there; None = all."""
        keep: Tensor | None = self.arguments["attention_mask"]
        return None if keep is None else keep.bool()

    @property
    def plain(self) -> bool:
        """Whether nothing but causality and padding is asked for: no window, no packed texts."""
        asked = self.arguments["mask_function"]
        return asked in (causal_mask_function, bidirectional_mask_function)

    def dense(self) -> Tensor | None:
        """The mask itself, [B, 1, T, S]; None where SDPA needs none."""
        if not self._dense:
            self._dense.append(sdpa_mask(**self.arguments))
        return self._dense[0]


@dataclass(frozen=True)
class Seen:
    """One call of an attention function, as `observed` notes it.

    Attributes:
        module: The attention module.
        shapes: Of queries, keys and values.
        causal: Whether the layer is.
        plain: Whether it attends to all it may: no window, no packed texts, no position bias.
    """

    module: Any
    shapes: tuple[tuple[int, ...], ...]
    causal: bool
    plain: bool


@contextmanager
def observed() -> Iterator[list[Seen]]:
    """Within it every attention layer that goes through transformers' interface is noted."""
    calls: list[Seen] = []
    _OBSERVERS.append(calls)
    try:
        yield calls
    finally:
        _OBSERVERS.pop()


_OBSERVERS: list[list[Seen]] = []  # no ContextVar: torch.compile cannot read one


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: MaskSpec | Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[Tensor, None]:
    core = getattr(module, CORE, None)
    spec = attention_mask if isinstance(attention_mask, MaskSpec) else None
    plain = (spec is None and attention_mask is None) or (spec is not None and spec.plain)
    plain = plain and others.get("position_bias") is None and not others.get("sliding_window")
    if _OBSERVERS:
        shapes = tuple(tuple(x.shape) for x in (query, key, value))
        causal = bool(getattr(module, "is_causal", False))
        _OBSERVERS[-1].append(Seen(module, shapes, causal, plain))
    if core is None:
        mask = spec.dense() if spec is not None else attention_mask
        return sdpa_attention_forward(  # type: ignore[no-any-return]
            module, query, key, value, mask, scaling=scaling, dropout=dropout, **others
        )
    if not plain:
        raise ValueError(
            f"{type(module).__name__}: this call asks for more than causality and padding (packed "
            "texts, a window of the layer's own, a position bias, or a mask of T x S), which "
            f"{type(core).__name__} would not honour; leave the layer dense with attach(layers=...)"
        )
    mixed = core(
        query,
        key,
        value,
        spec.keep_BS if spec is not None else None,
        scaling=scaling,
        dropout=dropout,
        offset=spec.arguments["q_offset"] if spec is not None and core.heads.causal else None,
    )
    return mixed.transpose(1, 2).contiguous(), None


def _mask(**arguments: Any) -> MaskSpec:
    return MaskSpec(arguments)


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, _mask)
