"""Activation checkpointing: activations are dropped in the forward pass and computed again.

    forward      x_{i+1} = f_i(x_i)        of a checkpointed layer only x_i is kept
    backward     f_i runs again from x_i, with the dropout and the precision that it had

A layer of n holds some a = 17 (fused attention) to 34 times its input, so n layers hold n a inputs;
checkpointed they hold n, and the a of the one layer that runs again, for about a third more time.
Chen et al. keep every √n-th activation of single operations. Of whole layers a segment of k would
hold n/k inputs and k a activations at once, which is more than n + a until n > k a: layers that are
checkpointed one by one are the better choice up to some 34 layers, and nearly so above.

`keep` holds what is dear to compute and small to hold: outputs of matrix products or of attention.

Legend: x [B, T, D] hidden states, f layer, n layers, a activations of a layer in terms of its
input, k layers of a segment.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
    noop_context_fn,
)

from leanformer.core.ranges import Count
from leanformer.core.technique import technique
from leanformer.train.loss import Loss
from leanformer.train.memory.interface import MemorySaver
from leanformer.train.memory.layers import layers_of
from leanformer.train.memory.replaced import replaced

_CACHES = ("cache", "past_key_values", "layer_past")  # a layer that runs twice would fill one twice
_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
_ATTENTION = ("aten::_scaled_dot_product", "aten::_flash_attention", "aten::_efficient_attention")
_BATCHED = ("aten::bmm", "aten::baddbmm")  # attention that is not fused


@technique(
    "checkpoint-activations",
    paper="Chen et al. 2016, arXiv:1604.06174; Korthikanti et al. 2022 (selective), "
    "arXiv:2205.05198",
)
class CheckpointActivations(MemorySaver):
    """Keep the inputs of layers instead of their activations, and compute these again."""

    every: Count = 1
    """Checkpoint every so many layers, from the first on: 1 = all, 2 = half of them, for half of
    the memory that this saves and half of its time."""
    keep: Literal["nothing", "products", "attention"] = "nothing"
    """What a checkpointed layer still holds: `nothing`; the outputs of matrix `products`, so that
    only what is cheap is computed again; or those of `attention`, whose cost grows with the square
    of the length."""

    @contextmanager
    def apply(self, model: nn.Module, loss: Loss) -> Iterator[None]:
        """See `MemorySaver.apply`. The gradients are the same to the last bit.

        Raises:
            ValueError: No layers are found in the model, or another saver checkpoints them already.
        """
        layers = layers_of(model, "checkpoint-activations")
        refuse_checkpointed(layers)
        contexts = _contexts(self.keep)
        with replaced() as replace:
            config = getattr(model, "config", None)
            if getattr(config, "use_cache", False):
                replace(config, "use_cache", False)
            for layer in layers[:: self.every]:
                replace(layer, "forward", checkpointed(layer, layer.forward, contexts))
            yield


def checkpointed(
    layer: nn.Module, forward: Callable[..., Any], contexts: Any = noop_context_fn
) -> Callable[..., Any]:
    """What computes a layer, and keeps its inputs alone while gradients are asked for.

    Args:
        layer: It is checkpointed while it `is_checkpointed`.
        forward: What runs, once in each pass.
        contexts: As `context_fn` of torch's `checkpoint`.
    """

    def kept(*arguments: Any, **named: Any) -> Any:
        if not is_checkpointed(layer):
            return forward(*arguments, **named)
        # one by one, since torch keeps as saved tensors only those that it is given so
        leaves, shape = tree_flatten((arguments, without_caches(named)))

        def run(*leaves: Any) -> Any:
            again, by_name = tree_unflatten(leaves, shape)
            return forward(*again, **by_name)

        return checkpoint(run, *leaves, use_reentrant=False, context_fn=contexts)

    kept.keeps_inputs = True  # type: ignore[attr-defined]
    return kept


def is_checkpointed(layer: nn.Module) -> bool:
    """Whether a layer with such a forward is checkpointed now: gradients are asked for."""
    return layer.training and torch.is_grad_enabled()


def without_caches(named: dict[str, Any]) -> dict[str, Any]:
    """The named arguments of a layer, with None in place of caches."""
    return named | {name: None for name in _CACHES if name in named}


def refuse_checkpointed(layers: list[nn.Module]) -> None:
    """Refuse layers that would be checkpointed twice.

    Raises:
        ValueError: A saver before this one checkpoints them.
    """
    if any(getattr(layer.forward, "keeps_inputs", False) for layer in layers):
        raise ValueError(
            "memory: the layers are checkpointed already; name checkpoint-activations once, and "
            "not beside swap-layers, which does the same"
        )


def _contexts(keep: str) -> Callable[[], Any]:
    if keep == "nothing":
        return noop_context_fn
    policy = partial(_policy, _PRODUCTS if keep == "products" else _ATTENTION + _BATCHED)
    return partial(create_selective_checkpoint_contexts, policy)


def _policy(held: tuple[str, ...], context: Any, operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Hold the outputs of operations that are named so, and of those that draw at random.

    Fused attention draws its dropout itself: where its output is held, it does not run again, and
    all that is drawn after it would be another number. Operations that fill a tensor in place do
    run again; they and fused dropout never stand in one layer.
    """
    schema = operation._schema
    draws = torch.Tag.nondeterministic_seeded in operation.tags and not schema.is_mutable
    if draws or schema.name.startswith(held):
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE
