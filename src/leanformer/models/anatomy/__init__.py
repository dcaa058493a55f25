"""Where attention, FFN, norms, layers and embeddings sit in the architectures that are known.

A transformer layer is read at two points, and everything that cuts it needs only these:

    head point   the module whose INPUT is the heads' outputs side by side      (… , H·K)
    FFN point    the module whose INPUT is the activated FFN, a channel a neuron    (… , F)

so a criterion hooks the inputs of these points, whatever the family; channel h·K + k of the first
belongs to head h, channel f of the second to neuron f. Paths are relative to the layer; those of
layers and words to the base model.

H head, K head width, F FFN width.
"""

from typing import Any

from torch import nn

from leanformer.models.anatomy.parts import Anatomy
from leanformer.models.families import FAMILIES, WHOLE, family_of

__all__ = ["Anatomy", "anatomy_of", "layers_of", "multiplied", "require_prunable"]


def anatomy_of(model_or_config: Any) -> Anatomy:
    """The anatomy of a transformers model or configuration.

    Raises:
        ValueError: The architecture is not known, or it is an encoder-decoder; the message
            lists those that are known.
    """
    config = getattr(model_or_config, "config", model_or_config)
    model_type = getattr(config, "model_type", None) or type(model_or_config).__name__
    anatomy = _ANATOMIES.get(family_of(model_type))
    if anatomy is None:
        raise ValueError(
            f"architecture {model_type!r} is not known to leanformer, and nothing was changed; "
            f"known are {', '.join(FAMILIES)}"
        )
    if getattr(config, "add_cross_attention", False):
        raise ValueError(
            f"{model_type!r} with cross-attention cannot be cut; load it as an encoder, "
            "with add_cross_attention=False"
        )
    return anatomy


def require_prunable(model: Any) -> Anatomy:
    """The anatomy of a model that is about to be cut.

    Raises:
        ValueError: The architecture is not known, or the model is stored in a form of its own:
            scales of groups, and names in its configuration, would not fit what is left.
    """
    anatomy = anatomy_of(model)
    if getattr(model.config, "quantization_config", None) is not None:
        raise ValueError(
            "the layers of the model round their weights, or are no plain ones otherwise (see the "
            "quantization_config of its configuration), and nothing was changed; cut it before it "
            "is quantized or its attention is exchanged (shrink and cut-vocabulary before "
            "quantize-aware)"
        )
    return anatomy


def layers_of(model: Any) -> nn.ModuleList:
    """The layers of a transformers model, also of one that is never cut.

    Raises:
        ValueError: The architecture is not known.
    """
    if model.config.model_type in WHOLE:
        whole: nn.ModuleList = model.base_model.encoder.layer
        return whole
    return anatomy_of(model).layers(model)


def multiplied(model: Any) -> list[str]:
    """Names of the layers whose outputs attention multiplies with one another as they are.

    Empty where the architecture is not known, and where another attention than softmax(QKᵀ) was
    put into the model.
    """
    config: Any = getattr(model, "config", None)  # any module may be calibrated
    anatomy = None if config is None else _ANATOMIES.get(family_of(config.model_type))
    if anatomy is None or config._attn_implementation not in ("eager", "sdpa"):
        return []
    layers = [layer.get_submodule(p) for layer in anatomy.layers(model) for p in anatomy.multiplied]
    return [name for name, module in model.named_modules() if any(module is m for m in layers)]


def _bert_like(family: str, *, pads_shift_positions: bool = False) -> Anatomy:
    return Anatomy(
        family=family,
        layers_path="encoder.layer",
        words_path="embeddings.word_embeddings",
        attention_path="attention.self",
        projections=("attention.self.query", "attention.self.key", "attention.self.value"),
        head_point_path="attention.output.dense",
        ffn_in=("intermediate.dense",),
        ffn_point_path="output.dense",
        norms=("attention.output.LayerNorm", "output.LayerNorm"),
        head_counts=("num_attention_heads",),
        head_channels=("all_head_size",),
        pads_shift_positions=pads_shift_positions,
        multiplied=("attention.self.query", "attention.self.key"),
    )


_DISTILBERT = Anatomy(
    family="distilbert",
    layers_path="transformer.layer",
    words_path="embeddings.word_embeddings",
    attention_path="attention",
    projections=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    head_point_path="attention.out_lin",
    ffn_in=("ffn.lin1",),
    ffn_point_path="ffn.lin2",
    norms=("sa_layer_norm", "output_layer_norm"),
    head_counts=("n_heads",),
    ffn_field="hidden_dim",
    multiplied=("attention.q_lin", "attention.k_lin"),
)
_MODERNBERT = Anatomy(
    family="modernbert",
    layers_path="layers",
    words_path="embeddings.tok_embeddings",
    attention_path="attn",
    projections=("attn.Wqkv",),
    head_point_path="attn.Wo",
    ffn_in=("mlp.Wi",),
    ffn_point_path="mlp.Wo",
    norms=("attn_norm", "mlp_norm"),
    head_width="head_dim",
    stacked=2,
    first_norm="attn_norm",
)
_MPNET = Anatomy(
    family="mpnet",
    layers_path="encoder.layer",
    words_path="embeddings.word_embeddings",
    attention_path="attention.attn",
    projections=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
    head_point_path="attention.attn.o",
    ffn_in=("intermediate.dense",),
    ffn_point_path="output.dense",
    norms=("attention.LayerNorm", "output.LayerNorm"),
    head_counts=("num_attention_heads",),
    head_channels=("all_head_size",),
    pads_shift_positions=True,
    shared_bias=True,
)
_DEBERTA = Anatomy(
    family="deberta-v2",
    layers_path="encoder.layer",
    words_path="embeddings.word_embeddings",
    attention_path="attention.self",
    projections=(
        "attention.self.query_proj",
        "attention.self.key_proj",
        "attention.self.value_proj",
    ),
    head_point_path="attention.output.dense",
    ffn_in=("intermediate.dense",),
    ffn_point_path="output.dense",
    norms=("attention.output.LayerNorm", "output.LayerNorm"),
    head_counts=("num_attention_heads",),
    head_channels=("all_head_size",),
    position_projections=("attention.self.pos_key_proj", "attention.self.pos_query_proj"),
    first_layer_only="encoder.conv",
)
_GPT2 = Anatomy(
    family="gpt2",
    layers_path="h",
    words_path="wte",
    attention_path="attn",
    projections=("attn.c_attn",),
    head_point_path="attn.c_proj",
    ffn_in=("mlp.c_fc",),
    ffn_point_path="mlp.c_proj",
    norms=("ln_1", "ln_2"),
    head_width="head_dim",
    head_counts=("num_heads",),
    head_channels=("split_size",),
    ffn_field="n_inner",
)
_LLAMA = Anatomy(
    family="llama",
    layers_path="layers",
    words_path="embed_tokens",
    attention_path="self_attn",
    projections=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    head_point_path="self_attn.o_proj",
    ffn_in=("mlp.gate_proj", "mlp.up_proj"),
    ffn_point_path="mlp.down_proj",
    norms=("input_layernorm", "post_attention_layernorm"),
    head_width="head_dim",
)
_ANATOMIES = {
    "bert": _bert_like("bert"),
    "roberta": _bert_like("roberta", pads_shift_positions=True),
    "xlm-roberta": _bert_like("xlm-roberta", pads_shift_positions=True),
    "electra": _bert_like("electra"),
    "distilbert": _DISTILBERT,
    "modernbert": _MODERNBERT,
    "mpnet": _MPNET,
    "deberta-v2": _DEBERTA,
    "gpt2": _GPT2,
    "llama": _LLAMA,
}
