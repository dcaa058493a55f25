"""Shapes are read from the modules, or from the config where an architecture is never cut."""

import transformers

from leanformer.models.anatomy.shape import Shape, shape_of
from leanformer.models.tiny import tiny_model


def test_of_a_family_that_is_cut():
    model, _ = tiny_model("bert", head="classification")
    shape = shape_of(model)
    config = model.config
    assert shape.heads == (config.num_attention_heads,) * config.num_hidden_layers
    assert shape.ffn == (config.intermediate_size,) * config.num_hidden_layers
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert Shape.from_json(shape.json()) == shape


def test_of_mobilebert_all_stacked_neurons_count():
    config = transformers.MobileBertConfig(
        vocab_size=50,
        hidden_size=32,
        embedding_size=8,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        intra_bottleneck_size=16,
        num_feedforward_networks=3,
    )
    model = transformers.MobileBertForSequenceClassification(config)
    shape = shape_of(model)
    layer = model.mobilebert.encoder.layer[0]
    stacked = [layer.intermediate, *(one.intermediate for one in layer.ffn)]
    assert shape.ffn == (sum(one.dense.out_features for one in stacked),) * 2
    assert shape.heads == shape.kv_heads == (4, 4)
    assert shape.head_dim * 4 == layer.attention.self.query.out_features
    assert (shape.hidden, shape.vocabulary, shape.layers) == (32, 50, 2)
    assert shape.encoder_parameters == sum(p.numel() for p in model.mobilebert.encoder.parameters())
