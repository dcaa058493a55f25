"""A decoder whose layers are reversible: GPT-2 or Llama with two streams, trained from scratch.

    x1 = x2 = embeddings        per layer: attention adds to x1, the feed-forward network to x2
    output = (x1 + x2) / 2      to the last norm and the head, as before

    model = AutoModelForCausalLM.from_config(config)
    make_reversible(model)
    fit(model, ...)

Its parameters have the names and shapes of the plain decoder, and it computes something else with
them: weights of a plain decoder are of no use in it, and the other way round. `save_pretrained`
says so in config.json, and `from_pretrained` brings the reversible decoder back where leanformer is
imported (`leanformer.models.reversible.checkpoint`).
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.models.anatomy import layers_of
from leanformer.models.families import family_of
from leanformer.models.lean.stored_config import check_unstored, form_of, mark_stored
from leanformer.models.reversible.layers import Pair, couple, run_reversible, trained

METHOD = "leanformer-reversible"
_CACHES = ("cache", "past_key_values", "layer_past")
_PARTS = {"gpt2": ("ln_1", "attn", "ln_2", "mlp")} | {
    "llama": ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp")
}


def make_reversible(model: Any) -> None:
    """Make the layers of a decoder that was not trained yet reversible, in place.

    Args:
        model: GPT-2 or Llama, with any head.

    Raises:
        ValueError: It is of another family, its layers were replaced already, or it is stored in
            another form. Nothing is changed.
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
    check_unstored(model.config, METHOD)
    first, *others = layers
    # no closures: a deep copy of the model runs its own layers
    first.forward = partial(_run, layers, _PARTS[family])
    for layer in others:
        layer.forward = _pass
    mark_stored(model.config, {"quant_method": METHOD})


def refuse_reversible(model: Any, asked: str) -> None:
    """Refuse what handles layers one by one: those of a reversible decoder run within the first.

    Args:
        model: Any model.
        asked: What was asked for.

    Raises:
        ValueError: The model is reversible.
    """
    if form_of(getattr(model, "config", None)) == METHOD:
        raise ValueError(
            f"{asked}: all layers of a reversible decoder run within the first one, and none can "
            "be handled alone; leave it out, or train a plain decoder"
        )


def _pass(hidden_states: Tensor, *arguments: Any, **named: Any) -> Tensor:
    """A layer after the first: it ran there already."""
    return hidden_states


def _run(
    layers: list[Any],
    names: tuple[str, ...],
    hidden_states: Tensor,
    cache: Any = None,
    mask: Any = None,
    *_: Any,
    **named: Any,
) -> Tensor:
    """The forward of the first layer, in which all layers run: all are given the same arguments."""
    named.setdefault("attention_mask", mask)
    named.setdefault("cache", cache)
    keeps = layers[0].training and torch.is_grad_enabled()
    if keeps:  # a layer that runs twice would fill a cache twice
        named |= {name: None for name in _CACHES if name in named} | {"use_cache": False}
    parts = [[layer.get_submodule(name) for name in names] for layer in layers]
    pairs = [_pair(modules, named) for modules in parts]
    x1 = x2 = hidden_states
    if keeps:
        x1, x2 = run_reversible(pairs, x1, x2)
    else:
        for pair in pairs:
            x1, x2 = couple(x1, x2, pair.f, pair.g)
    return (x1 + x2) / 2


def _pair(modules: list[nn.Module], named: dict[str, Any]) -> Pair:
    first, attention, second, ffn = modules

    def attend(x: Tensor) -> Tensor:
        mixed: Tensor = attention(first(x), **named)[0]
        return mixed

    def feed(x: Tensor) -> Tensor:
        fed: Tensor = ffn(second(x))
        return fed

    return Pair(attend, feed, trained(first, attention), trained(second, ffn))
