"""A converted BigBird against transformers' own, in float64, hidden places and training included."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from convert_cases import EXACT, randomised, same_gradients
from torch import Tensor
from transformers import BigBirdConfig, BigBirdModel, BigBirdPegasusConfig, BigBirdPegasusModel

from leanformer.attention.convert import convert

LAYERS = tuple(f"encoder.layer.{n}.attention.self" for n in range(2))


def big_bird(**settings: Any) -> Any:
    """Two layers whose blocks are of 4 tokens and which read 2 blocks by chance: 37 and more."""
    said = {
        "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2,
        "intermediate_size": 48, "block_size": 4, "num_random_blocks": 2, "vocab_size": 60,
        "max_position_embeddings": 400, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0, "use_bias": True,
    }  # fmt: skip
    return randomised(BigBirdModel(BigBirdConfig(**{**said, **settings})))


def texts(length: int, *, hidden: bool) -> dict[str, Tensor]:
    """Three texts: the second may end early, the third begin late."""
    ids = torch.randint(5, 60, (3, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    if hidden:
        mask[1, (length + 1) // 3 :] = 0
        mask[2, :6] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("length", [37, 64, 203])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_it_equals_transformers_and_so_do_its_gradients(
    length: int, hidden: bool, training: bool
) -> None:
    theirs, ours = big_bird(), big_bird()
    assert convert(ours).layers == LAYERS
    theirs.train(training), ours.train(training)
    inputs = texts(length, hidden=hidden)
    expected = theirs(**inputs, output_hidden_states=True)
    found = ours(**inputs, output_hidden_states=True)
    for one, other in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(one, other, **EXACT)
    expected.last_hidden_state.square().sum().backward()
    found.last_hidden_state.square().sum().backward()
    same_gradients(ours, theirs)


@pytest.mark.parametrize("longest", [1024, 2048])  # blocks 13 of 16 and the last may count twice
@pytest.mark.parametrize("training", [False, True])
def test_lengths_of_the_paper_have_its_plan(longest: int, training: bool) -> None:
    theirs = big_bird(
        block_size=64, num_random_blocks=3, max_position_embeddings=longest, hidden_size=16,
        num_attention_heads=2,
    )  # fmt: skip
    ours = copy.deepcopy(theirs)
    convert(ours)
    inputs = {name: x[1:] for name, x in texts(1024, hidden=True).items()}
    with torch.no_grad():
        found, expected = (model.train(training)(**inputs) for model in (ours, theirs))
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, **EXACT)


def test_blocks_are_drawn_once_and_numpy_is_left_alone() -> None:
    ours = big_bird()
    convert(ours)
    ours.train()
    inputs = texts(64, hidden=False)
    np.random.seed(5)
    expected = np.random.rand(2)
    np.random.seed(5)
    first = ours(**inputs).last_hidden_state
    found = np.random.rand(2)
    assert (found == expected).all()
    layer = ours.get_submodule(LAYERS[0])
    kept = layer._plans
    assert torch.equal(ours(**inputs).last_hidden_state, first)
    assert layer._plans is kept
    evaluated = ours.eval()(**inputs).last_hidden_state
    assert not torch.allclose(evaluated, first)
    assert torch.equal(ours.train()(**inputs).last_hidden_state, first)


def test_without_a_seed_each_call_draws_anew() -> None:
    ours = big_bird()
    layer = ours.get_submodule(convert(ours).layers[0]).train()
    layer.seed = None
    x = torch.randn(1, 80, 32, dtype=torch.float64)
    several = [layer(x)[0] for _ in range(4)]
    assert not all(torch.equal(several[0], one) for one in several[1:])


@pytest.mark.parametrize("length", [16, 20, 24])  # of 4, 5 and 6 blocks
def test_the_layer_itself_reads_fewer_blocks_than_the_model(length: int) -> None:
    theirs = big_bird()
    ours = copy.deepcopy(theirs)
    convert(ours)
    one, other = (model.get_submodule(LAYERS[0]) for model in (ours, theirs))
    x = torch.randn(2, length, 32, dtype=torch.float64)
    mask = torch.ones(2, length, dtype=torch.float64)
    mask[1, 9:] = 0
    blocked, band, from_mask, to_mask = theirs.create_masks_for_block_sparse_attn(mask, 4)
    masks = (band, from_mask, to_mask, blocked, blocked)
    torch.testing.assert_close(one(x, *masks)[0], other(x, *masks)[0], **EXACT)
    torch.testing.assert_close(one(x)[0][:1], one(x, *masks)[0][:1], **EXACT)


def test_without_drawn_blocks_four_see_each_other_wholly() -> None:
    full = big_bird(num_random_blocks=0)  # with none, transformers' module fails
    ours = copy.deepcopy(full)
    convert(ours)
    full.set_attention_type("original_full")
    one, other = (model.get_submodule(LAYERS[0]) for model in (ours, full))
    x = torch.randn(2, 16, 32, dtype=torch.float64)
    for training in (False, True):
        torch.testing.assert_close(one.train(training)(x)[0], other(x)[0], **EXACT)


def test_short_texts_still_turn_it_to_full_attention() -> None:
    theirs, ours = big_bird(), big_bird()
    convert(ours)
    for length in (36, 64):  # and it stays so for longer ones
        inputs = texts(length, hidden=True)
        found, expected = (model(**inputs).last_hidden_state for model in (ours, theirs))
        torch.testing.assert_close(found, expected, **EXACT)
        assert type(ours.get_submodule(LAYERS[0])).__name__ == "BigBirdSelfAttention"
    for model in (ours, theirs):
        model.set_attention_type("block_sparse")
    assert convert(ours).layers == LAYERS
    found, expected = (model(**texts(64, hidden=True)) for model in (ours, theirs))
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, **EXACT)


@pytest.mark.parametrize("training", [False, True])
def test_the_encoder_of_pegasus_is_converted(training: bool) -> None:
    config = BigBirdPegasusConfig(
        d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=60,
        block_size=4, num_random_blocks=1, max_position_embeddings=100, dropout=0.0,
        attention_dropout=0.0, activation_dropout=0.0, encoder_layerdrop=0.0,
    )  # fmt: skip
    theirs = randomised(BigBirdPegasusModel(config))
    ours = copy.deepcopy(theirs)
    assert convert(ours).layers == tuple(f"encoder.layers.{n}.self_attn.self" for n in range(2))
    inputs = texts(43, hidden=True)
    inputs["decoder_input_ids"] = inputs["input_ids"][:, :5]
    found, expected = (model.train(training)(**inputs) for model in (ours, theirs))
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, **EXACT)
    torch.testing.assert_close(
        found.encoder_last_hidden_state, expected.encoder_last_hidden_state, **EXACT
    )
    expected.last_hidden_state.square().sum().backward()
    found.last_hidden_state.square().sum().backward()
    same_gradients(ours, theirs)
    with pytest.raises(ValueError, match=r"output_attentions: the converted attention writes no"):
        ours(**inputs, output_attentions=True)


def test_bfloat16_stays_near() -> None:
    ours = big_bird()
    convert(ours)
    inputs = texts(64, hidden=True)
    expected = ours(**inputs).last_hidden_state
    rough = ours.to(torch.bfloat16)(**inputs).last_hidden_state
    assert rough.dtype == torch.bfloat16
    assert (rough.double() - expected).square().mean() < 1e-3 * expected.square().mean()


def test_what_it_saves_is_the_checkpoint_that_it_was(tmp_path: Path) -> None:
    ours = big_bird()
    before = {name: x.data_ptr() for name, x in ours.state_dict().items()}
    inputs = texts(64, hidden=True)
    expected = ours(**inputs).last_hidden_state
    convert(ours)
    assert {name: x.data_ptr() for name, x in ours.state_dict().items()} == before
    ours.save_pretrained(tmp_path)
    plain = BigBirdModel.from_pretrained(tmp_path, dtype=torch.float64).eval()
    kinds = {type(plain.get_submodule(name)).__name__ for name in LAYERS}
    assert kinds == {"BigBirdBlockSparseAttention"}
    assert torch.equal(plain(**inputs).last_hidden_state, expected)


def test_weights_of_attention_are_refused() -> None:
    ours = big_bird()
    convert(ours)
    with pytest.raises(ValueError, match=r"output_attentions: the converted attention writes no"):
        ours(**texts(64, hidden=False), output_attentions=True)


@pytest.mark.parametrize("length", [12, 18])
def test_other_texts_than_whole_blocks_are_refused(length: int) -> None:
    ours = big_bird()
    layer = ours.get_submodule(convert(ours).layers[0])
    with pytest.raises(ValueError, match=rf"hidden_states: {length} tokens; .*4 or more whole"):
        layer(torch.zeros(1, length, 32, dtype=torch.float64))
