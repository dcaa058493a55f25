"""A model in half precision keeps its buffers, as transformers does when it loads one in bf16."""

from pathlib import Path
from typing import Any

import pytest
import torch
from distill.teachers_elsewhere import teacher_of
from shadow_device import shadow
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from leanformer.attention import LSH, Clustered, Linear, Performer, Routing
from leanformer.attention.hf.attach import attach
from leanformer.models.families import FAMILIES
from leanformer.models.half_precision import in_dtype
from leanformer.models.tiny import tiny_model
from leanformer.quantize.activations import Calibrated
from leanformer.quantize.fake import QATLinear

LENGTH = 1024
ROTARY = ("modernbert", "llama", "qwen3", "gemma3_text", "nomic_bert")
BF16 = torch.bfloat16


def ids_of(model: Any, rows: int = 2, length: int = LENGTH) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(5, model.config.vocab_size, (rows, length), generator=generator)


def sharp(family: str) -> Any:
    """A model whose attention depends on where tokens are: its scores are far from equal."""
    model, _ = teacher_of(family, "classification", max_position_embeddings=LENGTH)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0 if parameter.dim() == 2 else 1.0)
    return model


@torch.no_grad()
def answers(model: Any, **inputs: Tensor) -> Tensor:
    found: Tensor = model(**inputs)[0].float()
    return found


@pytest.mark.parametrize("family", ROTARY)
def test_rotary_models_answer_at_1024_tokens_as_transformers_loads_them(
    family: str, tmp_path: Path
) -> None:
    model = sharp(family)
    model.save_pretrained(tmp_path)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=BF16).eval()
    ours = in_dtype(model, BF16)
    assert {p.dtype for p in ours.parameters()} == {BF16}
    frequencies = dict(ours.named_buffers())
    assert any("inv_freq" in name for name in frequencies)
    for name, buffer in model.named_buffers():
        assert frequencies[name].dtype == buffer.dtype
        assert torch.equal(frequencies[name], buffer)
        assert frequencies[name].data_ptr() != buffer.data_ptr()
    inputs = {"input_ids": ids_of(model), "attention_mask": torch.ones(2, LENGTH).long()}
    assert torch.equal(answers(ours, **inputs), answers(theirs, **inputs))


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_angles_at_1024_tokens_are_rounded_once(family: str) -> None:
    """The sines of an exact frequency, rounded; those of a rounded frequency are another angle's."""
    model = sharp(family)
    rotary = {"exact": model, "half": in_dtype(model, BF16), "rounded": in_dtype(model, BF16)}
    rotary["rounded"].to(BF16)
    at = torch.arange(LENGTH)[None]
    found = {
        name: one.model.rotary_emb(torch.ones(1, LENGTH, 1, dtype=p.dtype), at)
        for name, one in rotary.items()
        for p in [next(one.parameters())]
    }
    for exact, half, rounded in zip(*found.values(), strict=True):
        assert torch.equal(half, exact.to(BF16))
        assert (rounded.float() - exact).abs().max() > 0.05


def test_position_embeddings_that_are_added_have_the_type_of_the_parameters() -> None:
    config = AutoConfig.for_model(
        "xglm", vocab_size=99, d_model=32, num_layers=2, attention_heads=4, ffn_dim=48
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    half = in_dtype(model, BF16)
    inputs = {"input_ids": ids_of(model, 2, 9)}
    near = {"rtol": 0.0, "atol": 0.05}
    torch.testing.assert_close(answers(half, **inputs), answers(model, **inputs), **near)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_and_is_left_as_it_is(family: str) -> None:
    model, _ = tiny_model(family)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    inputs = {"input_ids": ids_of(model, 2, 12), "attention_mask": torch.ones(2, 12).long()}
    inputs["attention_mask"][1, 7:] = 0
    exact, rough = answers(model, **inputs), answers(in_dtype(model, BF16), **inputs)
    assert (rough - exact).abs().max() < 0.1 * exact.abs().max().clamp(min=1)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert {p.dtype for p in in_dtype(model, torch.float32).parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "mechanism",
    [
        Performer(),
        LSH(buckets=4, window=4),
        Clustered(clusters=3),
        Routing(clusters=2, window=8),
        Linear(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_buffers_of_attached_mechanisms_stay(mechanism: Any) -> None:
    model, _ = tiny_model("bert")
    attach(model, mechanism)
    half = in_dtype(model, BF16)
    for (name, ours), (_, theirs) in zip(half.named_buffers(), model.named_buffers(), strict=True):
        assert torch.equal(ours, theirs), name
    inputs = {"input_ids": ids_of(model, 2, 16), "attention_mask": torch.ones(2, 16).long()}
    assert answers(half, **inputs).isfinite().all()


def test_scales_of_a_teacher_that_rounds_its_activations_stay() -> None:
    model, _ = tiny_model("bert")
    layer = model.bert.encoder.layer[0].intermediate
    rounding: Any = Calibrated().build(32)
    rounding.calibrate(-3.0, 2.9)
    layer.dense = QATLinear(layer.dense, None, rounding)
    half = in_dtype(model, BF16)
    found = half.bert.encoder.layer[0].intermediate.dense.activations
    assert torch.equal(found.scale, rounding.scale)
    assert torch.equal(found.zero_point, rounding.zero_point)
    inputs = {"input_ids": ids_of(model, 2, 12)}
    exact = answers(model, **inputs)
    assert (answers(half, **inputs) - exact).abs().max() < 0.1 * exact.abs().max().clamp(min=1)


def test_ties_and_the_device_are_kept() -> None:
    model, _ = tiny_model("llama", head="causal", tie_word_embeddings=True)
    half = in_dtype(model, BF16, shadow())
    assert half.get_input_embeddings().weight is half.get_output_embeddings().weight
    assert {tensor.device for tensor in (*half.parameters(), *half.buffers())} == {shadow()}
    assert half.model.rotary_emb.inv_freq.dtype == torch.float32
    assert torch.equal(half.model.rotary_emb.inv_freq.cpu(), model.model.rotary_emb.inv_freq)
    assert isinstance(half, nn.Module)
