import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from leanformer.calibrate.gram import gather_grams, output_loss
from leanformer.models.tiny import tiny_model
from leanformer.quantize.quantizer import WeightStatistics
from leanformer.quantize.quantizers import Gptq, Uniform


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.unused = nn.Linear(4, 6), nn.Linear(6, 2), nn.Linear(2, 2)

    def forward(self, x, attention_mask=None):
        return self.second(torch.relu(self.first(x)))


def batches(count=3, seed=1):
    """Texts of unlike lengths, with large numbers where the padding is."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        x = torch.randn(3, 7, 4, generator=generator)
        lengths = torch.randint(1, 8, (3, 1), generator=generator)
        mask = (torch.arange(7) < lengths).long()
        found.append({"x": x.masked_fill(mask[..., None] == 0, 1e6), "attention_mask": mask})
    return found


def naive(model, data):
    """One outer product after the other, over real tokens only."""
    sums, count = {"first": torch.zeros(4, 4).double(), "second": torch.zeros(6, 6).double()}, 0
    for batch in data:
        for text, mask in zip(batch["x"], batch["attention_mask"], strict=True):
            for token, real in zip(text, mask, strict=True):
                if real:
                    hidden = torch.relu(model.first(token)).detach()
                    sums["first"] += torch.outer(token, token).double()
                    sums["second"] += torch.outer(hidden, hidden).double()
                    count += 1
    return {name: total / count for name, total in sums.items()}


def test_it_is_the_mean_outer_product_over_real_tokens():
    found, expected = gather_grams(Two(), batches()), naive(Two(), batches())
    assert set(found) == {"first", "second"}, "a layer that is not reached has no inputs"
    for name, gram in found.items():
        assert gram.dtype == torch.float64
        torch.testing.assert_close(gram, expected[name], rtol=1e-5, atol=1e-6)


@settings(max_examples=15)
@given(seed=st.integers(0, 99), count=st.integers(1, 4))
def test_batches_of_any_size_give_the_same(seed, count):
    data = batches(count, seed)
    single = [
        {key: value[row : row + 1] for key, value in batch.items()}
        for batch in data
        for row in range(3)
    ]
    whole, parts = gather_grams(Two(), data), gather_grams(Two(), single)
    for name, gram in whole.items():
        torch.testing.assert_close(gram, parts[name])
        torch.testing.assert_close(gram, gram.T)
        assert torch.linalg.eigvalsh(gram).min() > -1e-6


def test_named_layers_alone_in_float32():
    (name, gram), *others = gather_grams(
        Two(), batches(), layers=("second",), dtype=torch.float32
    ).items()
    assert (name, gram.dtype, others) == ("second", torch.float32, [])
    torch.testing.assert_close(gram.double(), gather_grams(Two(), batches())["second"])


def test_a_real_model_is_rounded_better_with_it_than_without():
    """The statistic is the one that gptq needs: outputs on the same texts err less."""
    model = tiny_model("bert")[0].train()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 60, (16, 11), generator=generator)
    data = [{"input_ids": ids, "attention_mask": torch.ones_like(ids)}]
    grams = gather_grams(model, data)
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())
    grid = Uniform(bits=3)
    encoder = [name for name in grams if ".layer." in name]
    assert len(encoder) >= 6
    for name in encoder:
        weight = model.get_submodule(name).weight.detach().double()
        errors = []
        for quantizer in (Gptq(grid=grid), grid):
            found = quantizer.quantize(weight, WeightStatistics(hessian_II=grams[name]))
            lost = weight - found.dequantized()
            errors.append(float((lost @ grams[name] * lost).sum()))  # E ‖lost x‖²
        assert errors[0] < errors[1], name


def test_refusals():
    with pytest.raises(ValueError, match="batches: none to gather from"):
        gather_grams(Two(), [])
    with pytest.raises(ValueError, match="layers: no linear layer is named third"):
        gather_grams(Two(), batches(), layers=("third",))
    with pytest.raises(ValueError, match="first: its inputs are not finite"):
        gather_grams(Two(), [{"x": torch.full((1, 2, 4), torch.nan)}])
    padding = {"x": torch.zeros(1, 2, 4), "attention_mask": torch.zeros(1, 2)}
    with pytest.raises(ValueError, match="first: no real token went into it"):
        gather_grams(Two(), [padding])


def test_the_loss_of_a_weight_is_the_error_of_its_outputs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 6, generator=generator).double()
    weight = torch.randn(4, 6, generator=generator).double()
    other = Uniform(bits=3).quantize(weight).dequantized()
    exact, found = x @ weight.T, x @ other.T
    expected = float((found - exact).square().sum() / exact.square().sum())
    assert output_loss(weight, other, x.T @ x / 50) == pytest.approx(expected, rel=1e-9)
