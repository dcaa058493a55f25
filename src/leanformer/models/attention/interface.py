"""Our attention inside transformers' models: one function and one mask, registered by name.

transformers calls an attention function by the name in a model's configuration, and builds the mask
by the function of the same name. Our mask function hands on what a mask is made of instead of T x S
numbers. A layer whose module has an `efficient_attention` attends by it, with padding and offset
from there; any other layer gets the dense mask, made when it is first needed and once per forward
pass, and attends as it always did.

While someone observes (`leanformer.models.attention.observers`) each call is noted first.

Legend: B batch, H head, J key head, T token, S key token, K head width.
"""

from typing import Any

from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from leanformer.models.attention.inputs import Mechanism
from leanformer.models.attention.observers import OBSERVERS, mixed_by
from leanformer.models.attention.requests import (
    DENSE,
    HARMLESS,
    Mask,
    MaskSpec,
    Request,
    read_request,
)

NAME = "leanformer-attention"
MECHANISM = "efficient_attention"  # of an attention module: what attends in its place


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Mask,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[Tensor, None]:
    qkv = (query, key, value)
    request = read_request(module, query, key, attention_mask, others)
    observer = OBSERVERS[-1] if OBSERVERS else None
    mechanism = getattr(module, MECHANISM, None)
    if observer is not None:
        mechanism = None if observer.plain else mechanism
        inputs = observer.note(module, qkv, attention_mask, scaling, others, request, mechanism)
        if observer.attends == "eager":
            return mixed_by(inputs, dropout), None
        if observer.attends == "probe":
            others = {name: others[name] for name in others if name in DENSE or name in HARMLESS}
        if observer.attends != "mechanism":
            request = Request(causal=None, unsupported=request.unsupported, lost=())
    if mechanism is None:
        return _dense(module, qkv, attention_mask, request, scaling, dropout, others)
    _refuse(module, mechanism, request)
    spec = attention_mask if isinstance(attention_mask, MaskSpec) else None
    keep = None if spec is None else spec.keep_BS
    offset = _offset(mechanism, query, key, spec)
    mixed = mechanism(*qkv, keep, scaling=scaling, dropout=dropout, offset=offset)
    return mixed.transpose(1, 2).contiguous(), None


def _dense(
    module: Any,
    qkv: tuple[Tensor, Tensor, Tensor],
    mask: Mask,
    request: Request,
    scaling: float | None,
    dropout: float,
    others: dict[str, Any],
) -> tuple[Tensor, None]:
    """Attend by torch's dense kernel, as the layer did before."""
    if request.lost:
        raise ValueError(
            f"{type(module).__name__}: this call asks for {', '.join(request.lost)}, which torch's "
            "dense attention would not honor; run the model without it, or leanformer.attention."
            "hf.attach.detach(model)"
        )
    dense = mask.dense() if isinstance(mask, MaskSpec) else mask
    return sdpa_attention_forward(  # type: ignore[no-any-return]
        module, *qkv, dense, scaling=scaling, dropout=dropout, **others
    )


def _refuse(module: Any, mechanism: Mechanism, request: Request) -> None:
    """Refuse calls that ask for more than the mechanism supports, or for another causality."""
    name, kind = type(module).__name__, type(mechanism).__name__
    if request.unsupported:
        raise ValueError(
            f"{name}: this call asks for {', '.join(request.unsupported)}, which {kind} would not "
            "honor; call the model without it, or leave the layer dense with attach(layers=...)"
        )
    causal = mechanism.heads.causal
    if request.causal is not None and request.causal != causal:
        built, found = ("causal" if one else "bidirectional" for one in (causal, request.causal))
        raise ValueError(
            f"{name}: this call is {found} and {kind} was built for a {built} layer; attach the "
            "mechanism to the model as it is used now (config.is_causal, is_decoder)"
        )


def _offset(mechanism: Mechanism, query: Tensor, key: Tensor, spec: MaskSpec | None) -> Any:
    """Position of the first query among the keys, as dense attention in transformers takes it."""
    if not mechanism.heads.causal:
        return None
    if spec is not None:
        return spec.arguments["q_offset"]
    return 0 if query.shape[2] > 1 else key.shape[2] - 1


def _mask(**arguments: Any) -> Mask:
    if OBSERVERS and OBSERVERS[-1].plain:
        return sdpa_mask(**arguments)
    made = arguments["attention_mask"]
    if isinstance(made, MaskSpec):  # `generate` makes masks of a static cache beforehand
        return made
    return MaskSpec(arguments)


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, _mask)
