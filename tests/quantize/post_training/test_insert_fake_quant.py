import pytest
import torch
from runtime_samples import calibration_of

from leanformer.models.tiny import tiny_model
from leanformer.numerics.fake_linear import (
    FakeQuantEmbedding,
    FakeQuantLinear,
    count_integer_attention,
)
from leanformer.quantize.onnx_qdq import codes_of
from leanformer.quantize.post_training import insert_fake_quant as module
from leanformer.quantize.post_training.insert_fake_quant import insert_fake_quant

INPUTS = ("input_ids", "attention_mask")


@pytest.mark.parametrize("method", ["min-max", "percentile", "mse"])
@pytest.mark.parametrize("smooth", [None, 0.7, "searched"])
def test_the_model_answers_nearly_the_same(method, smooth):
    model, tokenizer = tiny_model("bert")
    data = list(calibration_of(tokenizer).tensors(INPUTS))
    with torch.no_grad():
        before = torch.cat([model(**batch).logits for batch in data])
        names = insert_fake_quant(model, data, method=method, smooth=smooth)
        after = torch.cat([model(**batch).logits for batch in data])
    assert len(names) == 6 * model.config.num_hidden_layers + 2
    assert 0 < (after - before).abs().max() < 0.1 * before.abs().max()


def test_queries_and_keys_round_what_attention_multiplies():
    model, tokenizer = tiny_model("bert")
    kept = ("bert.encoder.layer.0.attention.self.key",)
    insert_fake_quant(model, calibration_of(tokenizer).tensors(INPUTS), modules_to_not_convert=kept)
    carrying = {n: m for n, m in model.named_modules() if isinstance(m, FakeQuantLinear)}
    rounded = [n for n, m in carrying.items() if m.output_scale is not None]
    assert [name.rpartition(".")[2] for name in rounded] == ["query", *["query", "key"] * 2]
    assert count_integer_attention(model) == 2


def test_parameters_keep_their_names():
    model, tokenizer = tiny_model("bert")
    names = {name for name, _ in model.named_parameters()}
    insert_fake_quant(model, calibration_of(tokenizer).tensors(INPUTS))
    assert {name for name, _ in model.named_parameters()} == names


def test_layers_can_be_kept_in_float():
    model, tokenizer = tiny_model("bert")
    kept = ("classifier", "bert.embeddings.word_embeddings")
    names = insert_fake_quant(
        model, calibration_of(tokenizer).tensors(INPUTS), modules_to_not_convert=kept
    )
    assert "classifier" not in names
    modules = dict(model.named_modules())
    assert not isinstance(modules["classifier"], FakeQuantLinear)
    assert not isinstance(modules["bert.embeddings.word_embeddings"], FakeQuantEmbedding)
    assert isinstance(modules["bert.embeddings.position_embeddings"], FakeQuantEmbedding)


def test_refusals_leave_the_model_as_it_was():
    model, tokenizer = tiny_model("bert")
    data = list(calibration_of(tokenizer).tensors(INPUTS))
    everything = tuple(n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear))
    with pytest.raises(ValueError, match="modules_to_not_convert: no layer is named nonsense"):
        insert_fake_quant(model, data, modules_to_not_convert=("nonsense",))
    with pytest.raises(ValueError, match="no linear layer to quantize"):
        insert_fake_quant(model, data, modules_to_not_convert=everything)
    assert not any(isinstance(m, FakeQuantLinear) for m in model.modules())


def test_an_input_that_is_always_zero_is_refused_by_name():
    model, tokenizer = tiny_model("bert")
    data = list(calibration_of(tokenizer).tensors(INPUTS))
    torch.nn.init.zeros_(model.bert.embeddings.LayerNorm.weight)
    torch.nn.init.zeros_(model.bert.embeddings.LayerNorm.bias)
    with pytest.raises(ValueError, match=r"query: its inputs are 0 on all texts, so there is no"):
        insert_fake_quant(model, data)
    assert not any(isinstance(m, FakeQuantLinear) for m in model.modules())


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("smooth", [None, 0.7])
def test_weights_use_half_of_their_range_where_products_saturate(exact, smooth, monkeypatch):
    monkeypatch.setattr(module, "multiplies_int8_exactly", lambda: exact)
    model, tokenizer = tiny_model("bert")
    insert_fake_quant(model, calibration_of(tokenizer).tensors(INPUTS), smooth=smooth)
    layers = [m for m in model.modules() if isinstance(m, FakeQuantLinear)]
    assert layers
    for layer in layers:
        codes, _ = codes_of(layer)
        assert codes.abs().amax() == (127 if exact else 63)
