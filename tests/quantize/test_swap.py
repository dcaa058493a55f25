import pytest
import torch
from quantize.rounding import Blocks
from torch import nn

from leanformer.models.anatomy.shape import shape_of
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.cutting.layers import keep_layers
from leanformer.models.cutting.vocabulary import cut_vocabulary
from leanformer.models.tiny import tiny_model
from leanformer.quantize.activations import Dynamic
from leanformer.quantize.fake import QATEmbedding, QATLinear
from leanformer.quantize.swap import found, swap, swap_described
from leanformer.train.optimizers.interface import grouped

LINEAR, TABLE = "bert.encoder.layer.1.output.dense", "bert.embeddings.word_embeddings"


def test_layers_are_swapped_in_place_and_the_configuration_says_so():
    model, _ = tiny_model("bert")
    names = {name for name, _ in model.named_parameters()}
    weight = model.get_submodule(LINEAR).weight
    swap(model, {LINEAR: Blocks(bits=3), TABLE: Blocks()}, Dynamic(), clip=2.0)
    layer = model.get_submodule(LINEAR)
    assert isinstance(layer, QATLinear)
    assert layer.weight is weight
    assert (layer.clip, layer.training) == (2.0, False)
    assert isinstance(model.get_input_embeddings(), QATEmbedding)
    assert {name for name, _ in model.named_parameters()} == names
    said = model.config.to_dict()["quantization_config"]
    assert said["stored_as"] == "leanformer"
    assert said["layers"][LINEAR] == {"use": "test-blocks", "bits": 3, "granularity": "row"}
    assert said["activations"]["use"] == "dynamic"


def test_an_unknown_layer_is_refused_before_anything_changes():
    model, _ = tiny_model("bert")
    for wrong in ("nonsense", "bert.encoder.layer.1.output.LayerNorm"):
        with pytest.raises(ValueError, match=f"layers: {wrong} is not a linear layer or embedding"):
            swap(model, {LINEAR: Blocks(), wrong: Blocks()})
    assert isinstance(model.get_submodule(LINEAR), nn.Linear)
    assert not hasattr(model.config, "quantization_config")


def test_names_are_found_with_and_without_the_head():
    bare, _ = tiny_model("bert", head="embedding")
    whole, _ = tiny_model("bert")
    short = LINEAR.removeprefix("bert.")
    assert found(bare, {LINEAR: 1, "classifier": 2}) == {short: 1}
    assert found(whole, {short: 1, "classifier": 2}) == {LINEAR: 1, "classifier": 2}
    with pytest.raises(ValueError, match="names 1 layers, and none of them is in BertModel"):
        found(bare, {"encoder.layer.99.output.dense": 1})


def test_the_meta_device_is_enough():
    with torch.device("meta"):
        layer = nn.Sequential(nn.Linear(4, 2))
    layer.config = type("Config", (), {})()
    swap(layer, {"0": Blocks()}, Dynamic())
    assert layer[0].weight.is_meta


def test_a_model_that_rounds_is_not_cut_and_its_shape_is_read():
    model, tokenizer = tiny_model("bert")
    before = shape_of(model)
    swap(model, {LINEAR: Blocks(), "bert.encoder.layer.0.attention.output.dense": Blocks()})
    assert shape_of(model) == before
    cuts = (
        lambda: keep_layers(model, [0]),
        lambda: keep_heads(model, [0]),
        lambda: keep_neurons(model, [0]),
        lambda: cut_vocabulary(model, tokenizer, ["a"]),
    )
    for cut in cuts:
        with pytest.raises(ValueError, match="the layers of the model round their weights, or"):
            cut()
    assert shape_of(model) == before


def test_a_table_that_rounds_has_no_weight_decay():
    model, _ = tiny_model("bert")
    swap(model, {TABLE: Blocks()})
    decayed, free = grouped([model])
    assert (decayed.decays, free.decays) == (True, False)
    words = model.get_input_embeddings().weight
    assert any(parameter is words for _, parameter in free.parameters)
    assert not any(parameter is words for _, parameter in decayed.parameters)


@pytest.mark.parametrize("clip", ["x", 0, -1.0])
def test_a_clip_that_is_not_a_positive_number_is_refused(clip):
    model, _ = tiny_model("bert")
    name = "bert.encoder.layer.0.output.dense"
    settings = {"layers": {name: {"use": "ternary"}}, "activations": None, "clip": clip}
    with pytest.raises(ValueError, match=r"quantization_config\.clip is .* not a positive number"):
        swap_described(model, settings)
