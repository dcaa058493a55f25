"""New models by a name and a size: configurations of transformers, whose weights are random.

    size     layers   width   heads
    mini     4        256     4
    small    6        384     6
    base     12       768     12
    large    24       1024    16

What these numbers leave open (activation, norms, how positions are encoded, dropout) is what the
configuration class of the architecture says; `settings` changes any of it.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import transformers
from transformers.models.auto import modeling_auto

from leanformer.core.ranges import Count, Length, ranged
from leanformer.core.shown import one_line, shown
from leanformer.core.technique import nearest
from leanformer.models.io.quiet import quiet
from leanformer.models.reversible.decoder import make_reversible

Kind = Literal["masked-lm", "causal-lm"]
SIZES = {"mini": (4, 256, 4), "small": (6, 384, 6), "base": (12, 768, 12), "large": (24, 1024, 16)}
"""Layers, width and heads of each size."""
_MODELS: dict[Kind, Any] = {
    "masked-lm": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    "causal-lm": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
}
_ROLES = ("pad", "bos", "eos", "cls", "sep")
_GATED = {"llama": 8 / 3, "modernbert": 1.5}  # FFN width over the model's where the FFN is gated
_REFUSALS = (TypeError, LookupError, ValueError, AttributeError, RuntimeError, AssertionError)
_ROUND = 32  # FFN widths are multiples of it


@dataclass(frozen=True, kw_only=True)
@ranged
class Architecture:
    """A model to be made.

    Raises:
        ValueError: transformers has no such language model, or heads do not divide the width.
    """

    architecture: str = "gpt2"
    """Its `model_type` in transformers: bert, roberta, modernbert, gpt2, llama, or another one."""
    size: Literal["mini", "small", "base", "large"] = "small"
    """Layers, width and heads, where they are not given."""
    layers: Count | None = None
    """Transformer layers."""
    width: Count | None = None
    """Width of the hidden states."""
    heads: Count | None = None
    """Attention heads of a layer; None = the size's, or with `width` one per 64 of it."""
    max_length: Length | None = None
    """Tokens that it has positions for; None = those of a row of the training."""
    reversible: bool = False
    """Whether its layers are reversible: a decoder of two streams whose activations need no memory,
    however deep it is (gpt2 and llama; see `make_reversible`)."""
    settings: dict[str, Any] = field(default_factory=dict)
    """More fields of its configuration, e.g. { hidden_dropout_prob = 0.0 }."""

    def __post_init__(self) -> None:
        known = sorted({name for models in _MODELS.values() for name in models})
        if self.architecture not in known:
            raise ValueError(
                f"architecture: {shown(self.architecture)} is not a language model of "
                f"transformers{nearest(self.architecture, known)}; to go on from trained weights, "
                "name their folder: model = …"
            )
        _, width, heads = self.shape
        if width % heads:
            raise ValueError(f"heads: {heads} do not divide a width of {width}; set one of the two")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Layers, width and heads."""
        layers, width, heads = SIZES[self.size]
        if self.width is not None:
            width, heads = self.width, max(1, self.width // 64)
        return self.layers or layers, width, self.heads or heads

    @property
    def kind(self) -> Kind:
        """What it is pre-trained for: masked tokens where it can be, else the next token."""
        return "masked-lm" if self.architecture in _MODELS["masked-lm"] else "causal-lm"


def build(asked: Architecture, kind: Kind, tokenizer: Any, max_length: int, seed: int) -> Any:
    """A new model, the same for the same seed.

    Args:
        asked: What is built.
        kind: Which head it has.
        tokenizer: Gives the vocabulary and the ids of special tokens.
        max_length: Tokens that it has positions for, where `asked` does not say.
        seed: Of its weights.

    Raises:
        ValueError: The architecture has no such head, or does not take these settings.
    """
    if asked.architecture not in _MODELS[kind]:
        raise ValueError(
            f"kind: {asked.architecture} has no head for {kind}; leave kind out, or take another "
            "architecture"
        )
    auto = "AutoModelForMaskedLM" if kind == "masked-lm" else "AutoModelForCausalLM"
    fields = _fields(asked, tokenizer, asked.max_length or max_length)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            config = transformers.AutoConfig.for_model(asked.architecture, **fields)
            _check_settings(asked, config)
            model = getattr(transformers, auto).from_config(config)
            if asked.reversible:
                make_reversible(model)
        except _REFUSALS as error:
            raise ValueError(
                f"model: transformers does not build {asked.architecture} with these settings "
                f"({one_line(error)})"
            ) from error
    return model.eval()


def _check_settings(asked: Architecture, config: Any) -> None:
    """Refuse fields that the configuration does not have: transformers would keep them unread."""
    plain = type(config)()
    if unknown := [name for name in asked.settings if not hasattr(plain, name)]:
        raise ValueError(
            f"settings: there is no field {shown(unknown[0])}"
            f"{nearest(unknown[0], sorted(plain.to_dict()))}"
        )


def _fields(asked: Architecture, tokenizer: Any, length: int) -> dict[str, Any]:
    """The fields of the configuration."""
    layers, width, heads = asked.shape
    ids = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in _ROLES}
    fields = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": length,
        **ids,
    }
    if asked.architecture == "gpt2":
        fields |= {"n_positions": fields.pop("max_position_embeddings")}
    else:
        wide = _GATED.get(asked.architecture, 4) * width
        fields["intermediate_size"] = max(_ROUND, round(wide / _ROUND) * _ROUND)
    plain = transformers.CONFIG_MAPPING[asked.architecture]()
    own = {"num_key_value_heads": heads, "head_dim": width // heads}  # defaults of some are fixed
    fields |= {name: one for name, one in own.items() if getattr(plain, name, None) is not None}
    if asked.architecture in ("roberta", "xlm-roberta", "camembert"):
        # positions begin after that of padding
        fields["max_position_embeddings"] = length + (ids["pad_token_id"] or 0) + 1
    return fields | asked.settings
