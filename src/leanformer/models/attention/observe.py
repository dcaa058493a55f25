"""Observe the attention of a model, layer by layer: the queries, keys and values of a forward pass.

transformers 5 returns attention probabilities only from its slow eager path, and never the scores
before the softmax. Every model calls an attention *function* by name, though; ours notes what it
is given and computes what the model would have computed without it:

    the model attends by        under observation
    ------------------------    ----------------------------------------------------------
    sdpa, flash, flex           torch's scaled_dot_product_attention
    eager                       the softmax of the noted scores, which are computed once
    a mechanism (`attach`)      the mechanism; layers without one attend by SDPA as before

    with observe_attention(model) as layers:
        model(**inputs)
    layers[0].scores()      [B, H, T, S]
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from leanformer.models.attention.implementations import implementations_kept
from leanformer.models.attention.inputs import AttentionInputs
from leanformer.models.attention.interface import MECHANISM, NAME
from leanformer.models.attention.observers import Observer, observing


@contextmanager
def observe_attention(model: Any) -> Iterator[list[AttentionInputs]]:
    """Within it, each layer that runs adds what it is given to the list, first layer first.

    The model computes what it computes outside of it; afterwards it is as it was.

    Raises:
        ValueError: The model's attention does not go through transformers' `AttentionInterface`.
    """
    before = model.config._attn_implementation
    with implementations_kept(model):
        if before != NAME:
            model.set_attn_implementation(NAME)
        if model.config._attn_implementation != NAME:
            raise ValueError(
                f"{type(model).__name__}: its attention cannot be observed, because it does not go "
                "through transformers' AttentionInterface; compare hidden states instead"
            )
        with observing(_observer(model, before)) as layers:
            yield layers


def _observer(model: Any, before: str) -> Observer:
    if before == NAME:
        return Observer("mechanism", _names(model))
    return Observer("eager" if before == "eager" else "sdpa")


def _names(model: Any) -> dict[int, str]:
    """Names of the modules in whose place a mechanism attends, by their identity."""
    return {id(one): name for name, one in model.named_modules() if hasattr(one, MECHANISM)}
