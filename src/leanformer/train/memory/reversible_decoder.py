"""A decoder whose layers are reversible: GPT-2 or Llama with two streams, trained from scratch.

    x1 = x2 = embeddings        per layer: attention adds to x1, the feed-forward network to x2
    output = (x1 + x2) / 2      to the last norm and the head, as before

    model = AutoModelForCausalLM.from_config(config)
    make_reversible(model)
    fit(model, ...)

Its parameters have the names and shapes of the plain decoder, and it computes something else with
them: weights of a plain decoder are of no use in it, and the other way round.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.models.anatomy import layers_of
from leanformer.models.families import family_of
from leanformer.train.memory.reversible import Pair, couple, run_reversible, trained

_CACHES = ("cache", "past_key_values", "layer_past")
_PARTS = {"gpt2": ("ln_1", "attn", "ln_2", "mlp")} | {
    "llama": ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp")
}


def make_reversible(model: Any) -> None:
    """Make the layers of a decoder that was not trained yet reversible, in place.

    Args:
        model: GPT-2 or Llama, with any head.

    Raises:
        ValueError: It is of another family, has cross-attention, or is reversible already.
    """
    family = family_of(model.config.model_type)
    if family not in _PARTS:
        raise ValueError(
            f"make_reversible: {model.config.model_type!r} has no reversible form, and nothing was "
            f"changed; {' and '.join(_PARTS)} have one"
        )
    layers = list(layers_of(model))
    if "forward" in vars(layers[0]):
        raise ValueError(
            "make_reversible: the forward of the model's layers was replaced already; make it "
            "reversible once, before anything else"
        )
    first, *others = layers
    first.forward = _stack(layers, _PARTS[family])
    for layer in others:
        layer.forward = _pass
    model.save_pretrained = _refuse_to_save


def _pass(hidden_states: Tensor, *arguments: Any, **named: Any) -> Tensor:
    """A layer after the first: it ran there already."""
    return hidden_states


def _stack(layers: list[Any], names: tuple[str, ...]) -> Callable[..., Tensor]:
    """The forward of the first layer, in which all layers run: all are given the same arguments."""
    parts = [[layer.get_submodule(name) for name in names] for layer in layers]

    def forward(
        hidden_states: Tensor, cache: Any = None, mask: Any = None, *_: Any, **named: Any
    ) -> Tensor:
        named.setdefault("attention_mask", mask)
        named.setdefault("cache", cache)
        keeps = layers[0].training and torch.is_grad_enabled()
        if keeps:  # a layer that runs twice would fill a cache twice
            named |= {name: None for name in _CACHES if name in named} | {"use_cache": False}
        pairs = [_pair(modules, named) for modules in parts]
        x1 = x2 = hidden_states
        if keeps:
            x1, x2 = run_reversible(pairs, x1, x2)
        else:
            for pair in pairs:
                x1, x2 = couple(x1, x2, pair.f, pair.g)
        return (x1 + x2) / 2

    return forward


def _pair(modules: list[nn.Module], named: dict[str, Any]) -> Pair:
    first, attention, second, ffn = modules

    def attend(x: Tensor) -> Tensor:
        mixed: Tensor = attention(first(x), **named)[0]
        return mixed

    def feed(x: Tensor) -> Tensor:
        fed: Tensor = ffn(second(x))
        return fed

    return Pair(attend, feed, trained(first, attention), trained(second, ffn))


def _refuse_to_save(*arguments: Any, **named: Any) -> None:
    raise ValueError(
        "save_pretrained: transformers would load a reversible decoder as a plain one, which "
        "computes something else; save its state_dict, and load it into a model that "
        "make_reversible was given"
    )
