"""The shape of a model: what was cut, in numbers that a record, a report and a test can compare."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from leanformer.models.anatomy import anatomy_of, layers_of
from leanformer.models.families import FAMILIES, WHOLE, family_of


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Widths by layer, and parameters.

    Attributes:
        heads: Query heads of each layer.
        kv_heads: Key and value heads of each layer; as many as `heads` unless query heads share
            them.
        ffn: FFN neurons of each layer.
        head_dim: Width of one head.
        hidden: Width of the model.
        vocabulary: Rows of the word embeddings.
        parameters: Parameters of the whole model, shared ones once.
        encoder_parameters: Parameters of the layers alone: no embeddings, no pooler, no head.
    """

    heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    ffn: tuple[int, ...]
    head_dim: int
    hidden: int
    vocabulary: int
    parameters: int
    encoder_parameters: int

    @property
    def layers(self) -> int:
        """The number of layers."""
        return len(self.heads)

    def json(self) -> dict[str, Any]:
        """The form in which records keep it."""
        pairs = {"layers": self.layers, **asdict(self)}
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in pairs.items()
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Shape":
        """The shape that `json` wrote."""
        values: dict[str, Any] = {
            key: tuple(fields[key]) if isinstance(fields[key], list) else fields[key]
            for key in cls.__dataclass_fields__
        }
        return cls(**values)


def shape_of(model: Any) -> Shape:
    """The shape of a transformers model; of an architecture that is never cut, as its
    configuration says.

    Raises:
        ValueError: It is not a transformers model.
    """
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    if model_type in WHOLE:
        return _whole_shape(model)
    if model_type is not None and family_of(model_type) not in FAMILIES:
        return _stated_shape(model)
    anatomy = anatomy_of(model)
    layers = anatomy.layers(model)
    return Shape(
        heads=tuple(anatomy.heads(layer) for layer in layers),
        kv_heads=tuple(anatomy.kv_heads(layer) for layer in layers),
        ffn=tuple(anatomy.ffn_width(layer) for layer in layers),
        head_dim=anatomy.head_dim(layers[0]),
        hidden=int(model.config.hidden_size),
        vocabulary=anatomy.word_embeddings(model).num_embeddings,
        parameters=_count(model),
        encoder_parameters=_count(layers),
    )


def _whole_shape(model: Any) -> Shape:
    """The shape of an architecture that is never cut: all layers are as its config says."""
    config = model.config
    depth, heads = config.num_hidden_layers, config.num_attention_heads
    return Shape(
        heads=(heads,) * depth,
        kv_heads=(heads,) * depth,
        ffn=(config.intermediate_size * config.num_feedforward_networks,) * depth,
        head_dim=config.true_hidden_size // heads,
        hidden=config.hidden_size,
        vocabulary=model.get_input_embeddings().num_embeddings,
        parameters=_count(model),
        encoder_parameters=_count(layers_of(model)),
    )


def _stated_shape(model: Any) -> Shape:
    """The shape of a teacher whose parts are not known: widths by its configuration, and every
    parameter but those of the word embeddings counted as one of the layers.
    """
    config = model.config.get_text_config()
    depth, heads = config.num_hidden_layers, config.num_attention_heads
    words = model.get_input_embeddings()
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    ffn = getattr(config, "intermediate_size", None) or getattr(config, "d_ff", 0)
    return Shape(
        heads=(heads,) * depth,
        kv_heads=(getattr(config, "num_key_value_heads", None) or heads,) * depth,
        ffn=(ffn,) * depth,
        head_dim=width,
        hidden=config.hidden_size,
        vocabulary=words.num_embeddings,
        parameters=_count(model),
        encoder_parameters=_count(model) - words.weight.numel(),
    )


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
