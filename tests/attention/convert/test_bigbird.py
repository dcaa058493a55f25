"""A converted BigBird against transformers' own, in float64, hidden places included."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BigBirdConfig, BigBirdModel, BigBirdPegasusConfig, BigBirdPegasusModel

from leanformer.attention.convert import convert

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def randomised(model: Any) -> Any:
    """Weights large enough that attention is far from a mean."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.double().eval().parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model


def bigbird(**settings: Any) -> Any:
    """Two layers with blocks of 4 tokens, sparse beyond 36."""
    said = {
        "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2,
        "intermediate_size": 48, "vocab_size": 60, "max_position_embeddings": 1024,
        "block_size": 4, "num_random_blocks": 2, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0, "attention_type": "block_sparse",
    }  # fmt: skip
    return randomised(BigBirdModel(BigBirdConfig(**{**said, **settings})))


def texts(length: int, *, hidden: bool) -> dict[str, Tensor]:
    """Two texts; the second may end early and begin late."""
    ids = torch.randint(5, 60, (2, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    if hidden:
        mask[1, length // 2 :] = 0
        mask[1, :3] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("length", [40, 61, 128])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_it_equals_transformers_and_so_do_its_gradients(
    length: int, hidden: bool, training: bool
) -> None:
    theirs, ours = bigbird(), bigbird()
    assert convert(ours).layers == tuple(f"encoder.layer.{n}.attention.self" for n in range(2))
    inputs = texts(length, hidden=hidden)
    found, expected = (
        model.train(training)(**inputs, output_hidden_states=True) for model in (ours, theirs)
    )
    for one, other in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(one, other, **EXACT)
    for result in (found, expected):
        result.last_hidden_state.square().sum().backward()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if other.grad is None:
            assert one.grad is None, name
            continue
        biggest = max(float(other.grad.abs().max()), 1)
        torch.testing.assert_close(
            one.grad, other.grad, rtol=1e-9, atol=1e-9 * biggest, msg=f"{name}: gradients differ"
        )


@pytest.mark.parametrize("training", [False, True])
def test_the_old_plan_of_1024_tokens_is_drawn_too(training: bool) -> None:
    theirs = bigbird(num_hidden_layers=1, block_size=64)
    ours = copy.deepcopy(theirs)
    convert(ours)
    inputs = texts(1024, hidden=True)
    with torch.no_grad():
        found, expected = (m.train(training)(**inputs).last_hidden_state for m in (ours, theirs))
    torch.testing.assert_close(found, expected, **EXACT)


def test_weights_have_their_names_and_are_the_same_tensors() -> None:
    model = bigbird()
    before = {name: x.data_ptr() for name, x in model.state_dict().items()}
    convert(model)
    assert {name: x.data_ptr() for name, x in model.state_dict().items()} == before


def test_short_texts_are_dense_as_before() -> None:
    theirs, ours = bigbird(), bigbird()
    convert(ours)
    inputs = texts(20, hidden=True)
    torch.testing.assert_close(
        ours(**inputs).last_hidden_state, theirs(**inputs).last_hidden_state, **EXACT
    )
    assert type(ours.encoder.layer[0].attention.self).__name__ == "BigBirdSelfAttention"


def test_the_encoder_of_bigbird_pegasus_is_converted() -> None:
    config = BigBirdPegasusConfig(
        d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=60,
        max_position_embeddings=128, block_size=4, num_random_blocks=2,
    )  # fmt: skip
    theirs = randomised(BigBirdPegasusModel(config))
    ours = copy.deepcopy(theirs)
    assert len(convert(ours).layers) == 2
    inputs = texts(64, hidden=True)
    inputs["decoder_input_ids"] = inputs["input_ids"][:, :5]
    found, expected = ours(**inputs), theirs(**inputs)
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, **EXACT)


def test_what_it_cannot_do_is_refused() -> None:
    model = bigbird()
    layer = model.get_submodule(convert(model).layers[0])
    hidden = torch.zeros(1, 42, 32, dtype=torch.float64)
    with pytest.raises(ValueError, match="42 tokens are no multiple of the block of 4; pad them"):
        layer(hidden)
    with pytest.raises(ValueError, match="output_attentions: the converted attention writes no"):
        layer(hidden[:, :40], output_attentions=True)
