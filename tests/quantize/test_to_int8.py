import pytest
import torch
from quantize.rounding import Blocks
from runtime_samples import calibration_of, without_output_grids
from torch import nn

from leanformer.models.tiny import tiny_model
from leanformer.numerics.blocks import Quantized
from leanformer.numerics.fake_linear import FakeQuantEmbedding, FakeQuantLinear
from leanformer.quantize.activations import Dynamic, MovingAverage
from leanformer.quantize.fake import QATLinear
from leanformer.quantize.quantizer import Quantizer
from leanformer.quantize.swap import swap
from leanformer.quantize.to_int8 import error_of, is_fake_quantized, row_scale, to_int8

INPUTS = ("input_ids", "attention_mask")
WORDS = "bert.embeddings.word_embeddings"


def rounding(quantizer, inputs=None):
    model, tokenizer = tiny_model("bert")
    names = [n for n, m in model.bert.named_modules(prefix="bert") if isinstance(m, nn.Linear)]
    swap(model, dict.fromkeys([*names, WORDS], quantizer), inputs)
    return model, list(calibration_of(tokenizer).tensors(INPUTS))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_rows_of_few_bits_are_exact_in_int8(bits, granularity):
    model, data = rounding(Blocks(bits=bits, granularity=granularity), MovingAverage())
    with torch.no_grad():
        for batch in data:
            model.train()(**batch)
        expected = [model.eval()(**batch).logits for batch in data]
        copied, errors = to_int8(model, data)
        shown = without_output_grids(copied)
        found = [copied(**batch).logits for batch in data]
    assert max(error for _, error in errors) == 0
    assert len(errors) == 6 * 3 + 2
    assert shown == 2 * 3  # queries and keys of each layer
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert sum(isinstance(m, FakeQuantLinear) for m in copied.modules()) == 19
    assert isinstance(copied.get_input_embeddings(), FakeQuantEmbedding)
    assert isinstance(copied.classifier, nn.Linear)
    assert is_fake_quantized(model)
    assert not is_fake_quantized(copied)


def test_columns_are_rounded_once_more_and_the_error_is_said():
    model, data = rounding(Blocks(granularity="group"))
    with torch.no_grad():
        expected = torch.cat([model(**batch).logits for batch in data])
        copied, errors = to_int8(model, data)
        found = torch.cat([copied(**batch).logits for batch in data])
    assert errors == sorted(errors, key=lambda pair: -pair[1])
    assert 0 < errors[0][1] < 1e-3
    assert 0 < (found - expected).abs().max() < 0.1 * expected.abs().max()


@pytest.mark.parametrize("inputs", [None, Dynamic()])
def test_ranges_that_the_model_does_not_know_are_found_on_texts(inputs):
    model, data = rounding(Blocks(), inputs)
    copied, _ = to_int8(model, data)
    layer = copied.bert.encoder.layer[0].intermediate.dense
    assert (layer.low, layer.high) in ((0, 255), (-128, 127))
    with torch.no_grad():
        for batch in data:
            expected = model(**batch).logits
            assert (copied(**batch).logits - expected).abs().max() < 0.1 * expected.abs().max()


class Affine(Quantizer):
    """Codes 0 … 2^bits - 1 with a zero point in the middle."""

    def __init__(self, bits):
        self.bits = bits

    def quantize(self, weight_OI, statistics=None):
        half = 2 ** (self.bits - 1)
        scale = (weight_OI.abs().amax(1, keepdim=True) / half).reshape(-1, 1, 1, 1)
        codes = (weight_OI / scale.reshape(-1, 1)).round().clamp(-half, half - 1) + half - 128
        zero = torch.full_like(scale, half - 128, dtype=torch.int8)
        block = (1, weight_OI.shape[1])
        return Quantized(codes.to(torch.int8), scale, zero, self.bits, block)


@pytest.mark.parametrize(("bits", "exact"), [(4, True), (7, True), (8, False)])
def test_zero_points_are_exact_while_the_difference_fits(bits, exact):
    torch.manual_seed(0)
    linear = nn.Linear(40, 9)
    linear.weight.data[0, 0] = -9.0  # its code is -128 steps below zero in 8 bits
    layer = QATLinear(linear, Affine(bits))
    weight = layer.quantized().dequantized()
    assert (error_of(weight, row_scale(layer)) == 0) is exact


def test_a_weight_whose_codes_were_unpacked_has_the_rows_of_its_values():
    torch.manual_seed(0)
    linear = nn.Linear(7, 3)
    layer = QATLinear(linear, None, Dynamic().build(7))
    assert torch.equal(row_scale(layer), linear.weight.detach().abs().amax(1) / 127)


def test_a_weight_of_zeros_has_a_step():
    linear = nn.Linear(4, 3)
    linear.weight.data.zero_()
    layer = QATLinear(linear, Blocks())
    assert (row_scale(layer) > 0).all()
    assert error_of(linear.weight, row_scale(layer)) == 0


def test_refusals_leave_the_model_as_it_was():
    model, data = rounding(Blocks(), MovingAverage(bits=4))
    with torch.no_grad():
        model.train()(**data[0])
    with pytest.raises(ValueError, match=r"query: inputs are rounded to the integers -7 … 7, and"):
        to_int8(model.eval(), data)
    assert is_fake_quantized(model)
    plain, _ = tiny_model("bert")
    with pytest.raises(ValueError, match="no layers that round; put a quantize-aware step before"):
        to_int8(plain, data)
