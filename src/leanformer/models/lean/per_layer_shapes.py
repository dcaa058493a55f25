"""The shapes of the layers, between a model and its configuration.

`describe` writes into the configuration what surgery made of the model; `reshape` cuts a freshly
built model to what the configuration says. They are inverse to each other, which is why a shrunk
model loads back bit by bit.

A shape that the family's own configuration can say (fewer layers, one FFN width for all) stays
plain, and the saved model needs no leanformer to load; the others become lean
(`leanformer.models.lean.lean_config`).
"""

from typing import Any

from torch import nn

from leanformer.models.anatomy import Anatomy, anatomy_of
from leanformer.models.anatomy.cuts import cut_heads, cut_neurons
from leanformer.models.anatomy.shared_bias import bias_heads, take_bias
from leanformer.models.families import family_of
from leanformer.models.lean.lean_config import lean_config


def configurations(model: nn.Module) -> list[Any]:
    """The configuration objects inside a model; most models share one among all modules."""
    found: dict[int, Any] = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        if config is not None and hasattr(config, "model_type"):
            found[id(config)] = config
    return list(found.values())


def describe(model: nn.Module) -> None:
    """Make the model's configuration say the shapes of its layers."""
    anatomy = anatomy_of(model)
    lean = shapes(anatomy, model)
    for config in configurations(model):
        was_lean = isinstance(getattr(config, "lean", None), dict)
        if not was_lean and _plain(anatomy, config, lean):
            setattr(config, anatomy.ffn_field, lean["ffn"][0])
            continue
        config.__class__ = lean_config(family_of(config.model_type))
        config.lean = lean


def shapes(anatomy: Anatomy, model: nn.Module) -> dict[str, Any]:
    """What the field `lean` of a configuration holds."""
    layers = anatomy.layers(model)
    first = anatomy.first_norm
    bias = {"bias_heads": [bias_heads(anatomy, layer) for layer in layers]}
    return (bias if anatomy.shared_bias else {}) | {
        "heads": [anatomy.heads(layer) for layer in layers],
        "kv_heads": [anatomy.kv_heads(layer) for layer in layers],
        "ffn": [anatomy.ffn_width(layer) for layer in layers],
        "first_norm": first is not None
        and not isinstance(layers[0].get_submodule(first), nn.Identity),
    }


def reshape(model: nn.Module) -> None:
    """Cut a model, just built from a lean configuration, to the shapes that it gives.

    Works on the meta device too, where `from_pretrained` builds.

    Raises:
        ValueError: The field `lean` does not fit the rest of the configuration.
    """
    anatomy = anatomy_of(model)
    lean = getattr(model.config, "lean", None)
    if lean is None:
        return
    layers = anatomy.layers(model)
    built = shapes(anatomy, model)
    _check(lean, built)
    if anatomy.shared_bias:
        _check_bias(lean, built["bias_heads"])
    if lean["first_norm"] and anatomy.first_norm:
        _add_first_norm(anatomy, model)
    for layer, heads, kv_heads, width in zip(
        layers, lean["heads"], lean["kv_heads"], lean["ffn"], strict=True
    ):
        cut_heads(anatomy, layer, list(range(heads)), list(range(kv_heads)))
        cut_neurons(anatomy, layer, list(range(width)))
    for layer, columns in zip(layers, lean.get("bias_heads", ()), strict=False):
        if columns != bias_heads(anatomy, layer):
            take_bias(anatomy, layer, columns)


def _plain(anatomy: Anatomy, config: Any, lean: dict[str, Any]) -> bool:
    """Whether the family's own configuration can say these shapes."""
    whole = set(lean["heads"]) == {config.num_attention_heads}
    kv_whole = set(lean["kv_heads"]) == {
        getattr(config, "num_key_value_heads", config.num_attention_heads)
    }
    return whole and kv_whole and len(set(lean["ffn"])) == 1 and not lean["first_norm"]


def _check(lean: dict[str, Any], built: dict[str, Any]) -> None:
    """The lean shapes must be of as many layers as were built, and nowhere wider."""
    for name in ("heads", "kv_heads", "ffn"):
        asked = lean.get(name)
        if (
            not isinstance(asked, list)
            or len(asked) != len(built[name])
            or any(not 0 < a <= b for a, b in zip(asked, built[name], strict=True))
        ):
            raise ValueError(
                f"config.json: lean.{name} is {asked}; it must give one number a layer, "
                f"at least 1 and at most {built[name]}"
            )


def _check_bias(lean: dict[str, Any], built: list[list[int]]) -> None:
    """Each layer must take a column of the shared bias for each of its heads."""
    asked = lean.get("bias_heads")
    fits = isinstance(asked, list) and len(asked) == len(built)
    if not fits or any(
        not isinstance(columns, list) or len(columns) != heads or not set(columns) <= set(whole)
        for columns, heads, whole in zip(asked or (), lean["heads"], built, strict=True)
    ):
        raise ValueError(
            f"config.json: lean.bias_heads is {asked}; it must list, for each layer, which of the "
            f"{len(built[0])} columns of the bias its heads take"
        )


def _add_first_norm(anatomy: Anatomy, model: nn.Module) -> None:
    """Give the first layer the norm that its siblings have."""
    assert anatomy.first_norm is not None
    config: Any = model.config
    norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)
    anatomy.layers(model)[0].set_submodule(anatomy.first_norm, norm)
