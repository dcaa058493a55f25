import pytest
import torch
from torch import nn

from leanformer.models.tiny import tiny_model
from leanformer.numerics.fake_linear import FakeQuantLinear
from leanformer.quantize.post_training.bias_correction import correct_biases
from leanformer.quantize.post_training.insert_fake_quant import insert_fake_quant


def batches(count=6):
    generator = torch.Generator().manual_seed(1)
    return [{"x": torch.randn(3, 7, 4, generator=generator) + 1} for _ in range(count)]


class Two(nn.Module):
    def __init__(self, bias=True):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 6, bias=bias), nn.Linear(6, 2, bias=bias)

    def forward(self, x, attention_mask=None):
        return self.second(torch.relu(self.first(x)))


def mean_output(model, data):
    with torch.no_grad():
        return torch.cat([model(**batch).flatten(0, 1) for batch in data]).mean(0)


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_answers_on_average_as_its_float_weight_does(bias):
    data, model = batches(), Two(bias)
    exact = model.first.weight.clone(), model.first.bias
    insert_fake_quant(model, data)
    moved = correct_biases(model, data)
    assert set(moved) == {"first", "second"}
    assert all(0 < size < 0.1 for size in moved.values())
    x = torch.cat([batch["x"].flatten(0, 1) for batch in data])
    expected = nn.functional.linear(x, *exact).mean(0)
    with torch.no_grad():
        torch.testing.assert_close(model.first(x).mean(0), expected, rtol=0, atol=1e-6)


def test_the_second_layer_is_corrected_on_what_the_first_says_then():
    data, model = batches(), Two()
    exact = model.second
    insert_fake_quant(model, data)
    correct_biases(model, data)
    x = torch.cat([batch["x"].flatten(0, 1) for batch in data])
    with torch.no_grad():
        given = torch.relu(model.first(x))
        expected = exact(given).mean(0)
        torch.testing.assert_close(model.second(given).mean(0), expected, rtol=0, atol=1e-6)


def test_the_whole_model_comes_nearer_and_its_float_layers_stay():
    data, model = batches(), Two()
    exact, floats = mean_output(model, data), model.first.bias
    before = floats.clone()
    insert_fake_quant(model, data)
    rounded = mean_output(model, data)
    correct_biases(model, data)
    corrected = mean_output(model, data)
    assert (corrected - exact).norm() < 0.5 * (rounded - exact).norm()
    assert torch.equal(floats, before)


def test_padding_is_not_looked_at():
    ids = torch.randint(5, 20, (2, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    other = torch.where(mask.bool(), ids, 7)
    found = []
    for given in (ids, other):
        carrier, _ = tiny_model("bert")
        insert_fake_quant(carrier, [{"input_ids": ids, "attention_mask": mask}])
        correct_biases(carrier, [{"input_ids": given, "attention_mask": mask}])
        found.append([m.bias for m in carrier.modules() if isinstance(m, FakeQuantLinear)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="0 layers carry scales and there are 1 batches"):
        correct_biases(Two(), batches(1))
    model = Two()
    insert_fake_quant(model, batches())
    with pytest.raises(ValueError, match="2 layers carry scales and there are 0 batches"):
        correct_biases(model, [])
