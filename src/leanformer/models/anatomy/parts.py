"""The parts of a layer, by their paths in the modules of one family."""

from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The paths of one family.

    Attributes:
        family: `model_type` in transformers.
        layers_path: The `ModuleList` of layers, from the base model.
        words_path: The word embeddings, from the base model.
        attention_path: The attention module, which knows the head width and the number of heads.
        projections: Modules whose OUTPUTS are the heads: query, key and value, or one that
            holds all three.
        head_point_path: The module whose input is the concatenated head outputs.
        ffn_in: Modules whose OUTPUTS are the neurons, before the activation.
        ffn_point_path: The module whose input is the activated FFN.
        norms: The norms of the layer.
        head_width: Attribute of the attention module with K.
        head_counts: Its attributes with H.
        head_channels: Its attributes with H·K.
        stacked: FFN blocks stacked in the outputs of one `ffn_in` module (a fused gated unit: 2).
        ffn_field: The configuration's field of the FFN width.
        first_norm: The norm that the first layer lacks, or None.
        pads_shift_positions: Positions count from the pad id, so that id must never change.
        position_projections: Modules whose outputs are the heads of relative positions, where the
            layer has them (DeBERTa).
        shared_bias: Whether all layers add one bias of relative positions, a column per head of the
            uncut model, to their scores (MPNet; `leanformer.models.anatomy.shared_bias`).
        first_layer_only: A module, from the base model, that works beside the first layer alone.
        multiplied: The projections whose outputs attention multiplies with one another as they are,
            queries and keys; none where they are rotated first, or one module holds both.
    """

    family: str
    layers_path: str
    words_path: str
    attention_path: str
    projections: tuple[str, ...]
    head_point_path: str
    ffn_in: tuple[str, ...]
    ffn_point_path: str
    norms: tuple[str, ...]
    head_width: str = "attention_head_size"
    head_counts: tuple[str, ...] = ()
    head_channels: tuple[str, ...] = ()
    stacked: int = 1
    ffn_field: str = "intermediate_size"
    first_norm: str | None = None
    pads_shift_positions: bool = False
    position_projections: tuple[str, ...] = ()
    shared_bias: bool = False
    first_layer_only: str | None = None
    multiplied: tuple[str, ...] = ()

    def layers(self, model: nn.Module) -> nn.ModuleList:
        """The layers of a model with any head."""
        layers: nn.ModuleList = self._base(model).get_submodule(self.layers_path)
        return layers

    def word_embeddings(self, model: nn.Module) -> nn.Embedding:
        """The word embeddings of a model with any head."""
        words: nn.Embedding = self._base(model).get_submodule(self.words_path)
        return words

    def attention(self, layer: nn.Module) -> nn.Module:
        """The attention module of a layer."""
        return layer.get_submodule(self.attention_path)

    def head_point(self, layer: nn.Module) -> nn.Module:
        """The module whose input is the concatenated head outputs, H·K channels."""
        return layer.get_submodule(self.head_point_path)

    def ffn_point(self, layer: nn.Module) -> nn.Module:
        """The module whose input is the activated FFN, F channels."""
        return layer.get_submodule(self.ffn_point_path)

    def head_dim(self, layer: nn.Module) -> int:
        """K, the width of one head."""
        return int(getattr(self.attention(layer), self.head_width))

    def heads(self, layer: nn.Module) -> int:
        """H, the number of query heads."""
        return _inputs(self.head_point(layer)) // self.head_dim(layer)

    def kv_heads(self, layer: nn.Module) -> int:
        """The number of key and value heads; H unless query heads share them (Llama)."""
        if len(self.projections) == 1:
            return self.heads(layer)
        return _outputs(layer.get_submodule(self.projections[1])) // self.head_dim(layer)

    def ffn_width(self, layer: nn.Module) -> int:
        """F, the number of FFN neurons."""
        return _inputs(self.ffn_point(layer))

    def _base(self, model: nn.Module) -> Any:
        return getattr(model, "base_model", model)


def _inputs(module: Any) -> int:
    """Input channels of a Linear, also one that rounds, or of transformers' Conv1D, whose weight
    is (in, out)."""
    return int(getattr(module, "in_features", module.weight.shape[0]))


def _outputs(module: Any) -> int:
    return int(getattr(module, "out_features", module.weight.shape[1]))
