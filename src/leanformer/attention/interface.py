"""Our attention inside transformers' models: one function and one mask, registered by name.

transformers calls an attention function by the name in a model's configuration, and builds the mask
by the function of the same name. Ours hands on what the mask is made of instead of T x S numbers;
a layer that has an `efficient_attention` takes padding and offset from it, any other layer gets the
dense mask, made at first need and once a forward pass, and attends as it always did.

Legend: B batch, H head, J key head, T token, S key token, D head width.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from leanformer.attention.asked import DENSE, HARMLESS, Asked, MaskSpec, asked
from leanformer.attention.mechanism import Attention, Heads, Mechanism
from leanformer.core.codec import decode

NAME = "leanformer-attention"
CORE = "efficient_attention"  # of an attention module: what attends in its place


@dataclass(frozen=True)
class Seen:
    """One call of an attention function, as `observed` notes it.

    Attributes:
        module: The attention module.
        shapes: Of queries, keys and values.
        asked: What the call asks for.
    """

    module: Any
    shapes: tuple[tuple[int, ...], ...]
    asked: Asked


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
    asks = asked(module, query, key, attention_mask, others)
    if _OBSERVERS:
        shapes = tuple(tuple(x.shape) for x in (query, key, value))
        _OBSERVERS[-1].append(Seen(module, shapes, asks))
        others = {name: others[name] for name in others if name in DENSE or name in HARMLESS}
        asks = Asked(causal=None, beyond=asks.beyond, lost=())  # whoever observes judges it
    if core is None:
        return _dense(module, (query, key, value), attention_mask, asks, scaling, dropout, others)
    spec = attention_mask if isinstance(attention_mask, MaskSpec) else None
    _refuse(module, core, asks)
    mixed = core(
        query,
        key,
        value,
        spec.keep_BS if spec is not None else None,
        scaling=scaling,
        dropout=dropout,
        offset=_offset(core, query, key, spec),
    )
    return mixed.transpose(1, 2).contiguous(), None


def _dense(
    module: Any,
    qkv: tuple[Tensor, Tensor, Tensor],
    mask: MaskSpec | Tensor | None,
    asks: Asked,
    scaling: float | None,
    dropout: float,
    others: dict[str, Any],
) -> tuple[Tensor, None]:
    """Attend by torch's dense kernel, as the layer did before."""
    if asks.lost:
        raise ValueError(
            f"{type(module).__name__}: this call asks for {', '.join(asks.lost)}, which torch's "
            "dense attention would not honour; run the model without it, or leanformer.attention."
            "attach.detach(model)"
        )
    dense = mask.dense() if isinstance(mask, MaskSpec) else mask
    return sdpa_attention_forward(  # type: ignore[no-any-return]
        module, *qkv, dense, scaling=scaling, dropout=dropout, **others
    )


def _refuse(module: Any, core: Attention, asks: Asked) -> None:
    """Refuse calls that ask for more than the mechanism honours, or for another causality."""
    name, kind = type(module).__name__, type(core).__name__
    if asks.beyond:
        raise ValueError(
            f"{name}: this call asks for {', '.join(asks.beyond)}, which {kind} would not honour; "
            "call the model without it, or leave the layer dense with attach(layers=...)"
        )
    if asks.causal is not None and asks.causal != core.heads.causal:
        built, found = (
            "causal" if causal else "bidirectional" for causal in (core.heads.causal, asks.causal)
        )
        raise ValueError(
            f"{name}: this call is {found} and {kind} was built for a {built} layer; attach the "
            "mechanism to the model as it is used now (config.is_causal, is_decoder)"
        )


def _offset(core: Attention, query: Tensor, key: Tensor, spec: MaskSpec | None) -> Any:
    """Place of the first query among the keys, as dense attention in transformers takes it."""
    if not core.heads.causal:
        return None
    if spec is not None:
        return spec.arguments["q_offset"]
    return 0 if query.shape[2] > 1 else key.shape[2] - 1


def _mask(**arguments: Any) -> MaskSpec:
    made = arguments["attention_mask"]
    if isinstance(made, MaskSpec):  # `generate` makes masks of a static cache beforehand
        return made
    return MaskSpec(arguments)


def attach_described(model: Any, layers: Mapping[str, Any]) -> None:
    """Put in place what `config.json` says of a model that `attach` changed."""
    for name, said in layers.items():
        with torch.device("cpu"):  # transformers builds models without memory for their weights
            mechanism = decode(Mechanism, said["mechanism"], f"{name}.mechanism")
            core = mechanism.build(decode(Heads, said["heads"], f"{name}.heads"))
        model.get_submodule(name).add_module(CORE, core)
    model.set_attn_implementation(NAME)


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, _mask)
