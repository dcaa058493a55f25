"""Few bits in a trained decoder: what it loses on texts that it wrote itself."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from leanformer.calibrate.gram import gather_grams
from leanformer.quantize.quantizer import Quantizer, WeightStatistics
from leanformer.quantize.quantizers import Gptq, Uniform

STORIES = Path(__file__).parents[3] / "shared/data/models/stories260k-hf"
pytestmark = pytest.mark.skipif(not STORIES.is_dir(), reason=f"needs {STORIES}")


@pytest.fixture(scope="module")
def decoder() -> Any:
    return LlamaForCausalLM.from_pretrained(STORIES).eval()


@pytest.fixture(scope="module")
def stories(decoder: Any) -> Tensor:
    torch.manual_seed(0)
    begin = torch.ones(64, 1, dtype=torch.long)
    return decoder.generate(begin, max_new_tokens=64, do_sample=True, eos_token_id=None)


@pytest.fixture(scope="module")
def grams(decoder: Any, stories: Tensor) -> dict[str, Tensor]:
    layers = decoder.model.layers.named_modules(prefix="model.layers")
    names = tuple(name for name, module in layers if isinstance(module, nn.Linear))
    return gather_grams(decoder, [{"input_ids": stories[:32]}], layers=names)


@torch.no_grad()
def loss(decoder: Any, stories: Tensor) -> float:
    """Nats a token on the half that no statistics were gathered on."""
    return float(decoder(stories[32:], labels=stories[32:]).loss)


@torch.no_grad()
def lost(decoder: Any, stories: Tensor, grams: dict[str, Tensor], quantizer: Quantizer) -> float:
    """How much worse the decoder is with its layers rounded."""
    exact = loss(decoder, stories)
    before = {name: decoder.get_submodule(name).weight.clone() for name in grams}
    for name, gram in grams.items():
        weight = decoder.get_submodule(name).weight
        codes = quantizer.quantize(weight, WeightStatistics(hessian_II=gram))
        weight.copy_(codes.dequantized())
    rounded = loss(decoder, stories)
    for name, weight in before.items():
        decoder.get_submodule(name).weight.copy_(weight)
    return rounded - exact


@pytest.mark.parametrize("bits", [3, 4])
def test_second_order_rounding_loses_less(
    decoder: Any, stories: Tensor, grams: dict[str, Tensor], bits: int
) -> None:
    grid = Uniform(bits=bits, symmetric=False)
    nearest = lost(decoder, stories, grams, grid)
    assert 0 < lost(decoder, stories, grams, Gptq(grid=grid)) < 0.8 * nearest


def test_eight_bits_lose_nothing(decoder: Any, stories: Tensor, grams: dict[str, Tensor]) -> None:
    assert abs(lost(decoder, stories, grams, Uniform())) < 0.005
