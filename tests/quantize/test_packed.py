import pytest
import torch
from quantize.rounding import Blocks
from shadow_device import shadow
from torch import nn

from leanformer.models.tiny import tiny_model
from leanformer.quantize.activations import MovingAverage
from leanformer.quantize.fake import rounded_layers
from leanformer.quantize.packed import (
    PackedWeight,
    arithmetic_bytes,
    codes_of_layers,
    hold,
    hold_codes,
    unpack,
)
from leanformer.quantize.swap import swap

LINEAR, TABLE = "bert.encoder.layer.1.output.dense", "bert.embeddings.word_embeddings"


def model_of(*, activations=None, **layers):
    model, _ = tiny_model("bert")
    names = {"linear": LINEAR, "table": TABLE}
    swap(model, {names[key]: quantizer for key, quantizer in layers.items()}, activations)
    return model


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_bytes_are_those_of_the_arithmetic(bits):
    model = model_of(linear=Blocks(bits=bits), table=Blocks(bits=2, per="tensor"))
    linear, table = model.get_submodule(LINEAR).weight, model.get_submodule(TABLE).weight
    whole = sum(t.numel() for t in model.state_dict().values())
    asked = arithmetic_bytes(model, codes_of_layers(model))
    codes = -(-linear.numel() * bits // 8) + -(-table.numel() * 2 // 8)
    rest = 4 * (whole - linear.numel() - table.numel())
    assert asked == {"codes": codes, "scales": 4 * (linear.shape[0] + 1), "float": rest}
    hold(model, codes_of_layers(model))
    stored = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    assert stored == sum(asked.values())


def test_codes_are_unpacked_into_the_same_weights():
    model = model_of(linear=Blocks(bits=3), table=Blocks(), activations=MovingAverage())
    expected = {n: m.rounded().detach() for n, m in rounded_layers(model).items()}
    hold(model, codes_of_layers(model))
    settings = model.config.quantization_config
    assert settings["form"] == "packed"
    assert settings["layers"][LINEAR] == {"bits": 3, "block": [1, 48], "zero_point": False}
    state = model.state_dict()
    fresh, _ = tiny_model("bert", seed=1)
    assert hold_codes(fresh, settings) == settings["layers"]
    assert isinstance(fresh.get_submodule(LINEAR), PackedWeight)
    fresh.load_state_dict(state)
    unpack(fresh, settings)
    assert all(torch.equal(fresh.get_submodule(n).weight, w) for n, w in expected.items())
    assert isinstance(fresh.get_submodule(TABLE), nn.Embedding)
    assert fresh.get_submodule(TABLE).padding_idx == model.config.pad_token_id
    assert list(rounded_layers(fresh)) == [LINEAR]
    assert fresh.config.quantization_config["layers"] == {LINEAR: None}


def test_there_must_be_something_to_pack():
    model, _ = tiny_model("bert")
    with pytest.raises(ValueError, match="pack: no layer of the model rounds its weight"):
        hold(model, codes_of_layers(model))


def test_a_tied_table_is_still_counted_where_the_other_layer_stays_float():
    model, _ = tiny_model("bert", head="masked")
    swap(model, {TABLE: Blocks(bits=4)}, None)
    assert model.get_submodule(TABLE).weight is model.cls.predictions.decoder.weight
    codes = codes_of_layers(model)
    asked = arithmetic_bytes(model, codes)
    assert asked["float"] == sum(p.nbytes for p in model.parameters())
    assert arithmetic_bytes(model.to(shadow()), codes) == asked
