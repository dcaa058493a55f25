"""A converted Longformer or LED against transformers' own, in float64, hidden places included."""

import copy
from typing import Any

import pytest
import torch
from convert_cases import EXACT, randomised, same_gradients
from torch import Tensor
from torch.nn import functional as F
from transformers import LEDConfig, LEDModel, LongformerConfig, LongformerModel

from leanformer.attention.convert import convert


@pytest.fixture
def wide_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers' weights are rounded to float32; without that the two agree wholly."""
    narrow = F.softmax

    def wide(x: Tensor, dim: int, dtype: Any = None, **others: Any) -> Tensor:
        return narrow(x, dim, dtype=None if x.dtype == torch.float64 else dtype, **others)

    monkeypatch.setattr(F, "softmax", wide)


def longformer(**settings: Any) -> Any:
    """Two layers with windows of their own."""
    said = {
        "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2,
        "intermediate_size": 48, "attention_window": [8, 4], "vocab_size": 60,
        "max_position_embeddings": 400, "pad_token_id": 1, "attention_probs_dropout_prob": 0.0,
        "hidden_dropout_prob": 0.0,
    }  # fmt: skip
    return randomised(LongformerModel(LongformerConfig(**{**said, **settings})))


def texts(length: int, *, hidden: bool, tokens: str) -> dict[str, Tensor]:
    """Three texts: the second may end early, the third begin late; each has its own globals."""
    ids = torch.randint(5, 60, (3, length), generator=torch.Generator().manual_seed(length))
    mask, whole = torch.ones_like(ids), torch.zeros_like(ids)
    if hidden:
        mask[1, (length + 1) // 2 :] = 0
        mask[2, 0] = 0
    if tokens == "few":
        whole[0, 0] = whole[1, :2] = 1
        whole[1, -1] = 1  # hidden, where places are
    if tokens == "many":  # more than a head is wide
        whole[0] = whole[1, ::2] = 1
    return {"input_ids": ids, "attention_mask": mask, "global_attention_mask": whole}


@pytest.mark.usefixtures("wide_softmax")
@pytest.mark.parametrize("length", [5, 8, 37, 301])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("tokens", ["none", "few", "many"])
def test_it_equals_transformers_and_so_do_its_gradients(
    length: int, hidden: bool, tokens: str
) -> None:
    theirs, ours = longformer(), longformer()
    layers = convert(ours).layers
    assert layers == tuple(f"encoder.layer.{n}.attention.self" for n in range(2))
    inputs = texts(length, hidden=hidden, tokens=tokens)
    expected = theirs(**inputs, output_hidden_states=True)
    found = ours(**inputs, output_hidden_states=True)
    for one, other in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(one, other, **EXACT)
    expected.last_hidden_state.square().sum().backward()
    found.last_hidden_state.square().sum().backward()
    for name in same_gradients(ours, theirs):  # without global tokens their projections have none
        assert "global" in name or "pooler" in name


def test_it_is_as_close_as_their_float32_weights_allow() -> None:
    theirs, ours = longformer(), longformer()
    convert(ours)
    inputs = texts(37, hidden=True, tokens="few")
    found, expected = (model(**inputs).last_hidden_state for model in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    rough = ours.to(torch.bfloat16)(**inputs).last_hidden_state
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.double(), expected, rtol=0.2, atol=0.2)


@pytest.mark.usefixtures("wide_softmax")
def test_the_encoder_of_led_is_converted() -> None:
    config = LEDConfig(
        d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=60,
        attention_window=4, max_encoder_position_embeddings=64, max_decoder_position_embeddings=64,
    )  # fmt: skip
    theirs = randomised(LEDModel(config))
    ours = copy.deepcopy(theirs)
    assert len(convert(ours).layers) == 2
    inputs = {**texts(21, hidden=True, tokens="few")}
    inputs["decoder_input_ids"] = inputs["input_ids"][:, :5]
    found, expected = ours(**inputs), theirs(**inputs)
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, **EXACT)
    torch.testing.assert_close(
        found.encoder_last_hidden_state, expected.encoder_last_hidden_state, **EXACT
    )


@pytest.mark.usefixtures("wide_softmax")
def test_projections_that_are_listened_to_see_the_whole_text() -> None:
    theirs, ours = longformer(), longformer()
    layer = ours.get_submodule(convert(ours).layers[0])
    inputs = texts(16, hidden=True, tokens="few")
    expected = theirs(**inputs).last_hidden_state
    heard = []
    layer.key_global.register_forward_hook(lambda _, args, output: heard.append(output.shape))
    torch.testing.assert_close(ours(**inputs).last_hidden_state, expected, **EXACT)
    assert heard == [(3, 16, 32)]


@pytest.mark.parametrize("tokens", ["few", "many"])
def test_weights_are_dropped_in_training_alone(tokens: str) -> None:
    ours = longformer(attention_probs_dropout_prob=0.5)
    before = ours.get_submodule("encoder.layer.0.attention.self")
    assert not before.training
    convert(ours)
    inputs = texts(16, hidden=True, tokens=tokens)
    first = ours(**inputs).last_hidden_state
    assert torch.equal(ours(**inputs).last_hidden_state, first)
    ours.train()
    torch.manual_seed(0)
    some = torch.stack([ours(**inputs).last_hidden_state for _ in range(2)]).detach()
    assert not torch.allclose(some[0], some[1])
    layer = ours.get_submodule("encoder.layer.0.attention.self")
    mask = torch.zeros(3, 16)
    mask[:, 0] = 1
    hidden = torch.randn(3, 16, 32, dtype=torch.float64)
    told = (mask, mask < 0, mask > 0, True)
    several = torch.stack([layer(hidden, *told)[0].detach() for _ in range(500)])
    exact = layer.eval()(hidden, *told)[0].detach()
    off = (several.mean(0) - exact).abs() / (several.std(0) / 500**0.5).clamp(min=1e-12)
    assert off.mean() < 1.5  # of a normal variable it is 0.8


def test_weights_of_attention_are_refused() -> None:
    ours = longformer()
    convert(ours)
    with pytest.raises(ValueError, match=r"output_attentions: the converted attention writes no"):
        ours(**texts(8, hidden=False, tokens="few"), output_attentions=True)
