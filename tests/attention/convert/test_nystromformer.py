"""A converted Nyströmformer against transformers' own, in float64, hidden places included."""

import copy
from typing import Any

import pytest
import torch
from convert_cases import randomised, same_gradients
from torch import Tensor
from transformers import NystromformerConfig, NystromformerModel

from leanformer.attention.convert import convert


def nystromformer(**settings: Any) -> Any:
    """Two layers over texts of 24 tokens with 6 landmarks."""
    said = {
        "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2,
        "intermediate_size": 48, "vocab_size": 60, "max_position_embeddings": 40,
        "segment_means_seq_len": 24, "num_landmarks": 6, "conv_kernel_size": 5,
        "inv_coeff_init_option": False, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }  # fmt: skip
    return randomised(NystromformerModel(NystromformerConfig(**{**said, **settings})))


def mended(model: Any) -> Any:
    """Theirs cannot add a mask of T x T to the landmarks' rows; all its rows are alike."""

    def first_row(module: Any, given: Any) -> Any:
        hidden, mask, *others = given
        return hidden, None if mask is None else mask[:, :, :1], *others

    for layer in model.encoder.layer:
        layer.attention.self.register_forward_pre_hook(first_row)
    return model


def texts(length: int = 24) -> dict[str, Tensor]:
    """Two texts, the second half as long."""
    ids = torch.randint(5, 60, (2, length), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, length // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("settings", [{}, {"num_landmarks": 3}, {"num_landmarks": 24}])
def test_it_equals_transformers_and_so_do_its_gradients(settings: dict[str, Any]) -> None:
    theirs = nystromformer(**settings)
    ours = copy.deepcopy(theirs)
    before = {name: x.data_ptr() for name, x in ours.state_dict().items()}
    assert convert(ours).layers == tuple(f"encoder.layer.{n}.attention.self" for n in range(2))
    assert {name: x.data_ptr() for name, x in ours.state_dict().items()} == before
    mended(theirs)
    found, expected = (model(**texts(), output_hidden_states=True) for model in (ours, theirs))
    for one, other in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    for result in (found, expected):
        result.last_hidden_state.square().sum().backward()
    same_gradients(ours, theirs, off=1e-8)


def test_the_exact_beginning_of_the_inverse_is_theirs_too() -> None:
    """Their constructor cannot read the option that asks for it."""
    theirs = nystromformer()
    for layer in theirs.encoder.layer:
        layer.attention.self.init_option = "exact"
    ours = copy.deepcopy(theirs)
    convert(ours)
    found, expected = (model(**texts()).last_hidden_state for model in (ours, mended(theirs)))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_what_it_cannot_do_is_refused() -> None:
    model = nystromformer()
    convert(model)
    with pytest.raises(ValueError, match="20 tokens, and 6 landmarks are laid over segment_means"):
        model(**texts(20))
    with pytest.raises(ValueError, match="output_attentions: the converted attention writes no"):
        model(**texts(), output_attentions=True)


def test_a_mask_of_ones_is_no_mask() -> None:
    ours = nystromformer()
    convert(ours)
    inputs = texts()
    ones = torch.ones_like(inputs["attention_mask"])
    found = ours(inputs["input_ids"], attention_mask=ones).last_hidden_state
    assert torch.equal(found, ours(inputs["input_ids"]).last_hidden_state)
    hidden = torch.randn(2, 24, 32, dtype=found.dtype)
    layer = ours.encoder.layer[0].attention.self
    added = torch.zeros(2, 1, 1, 24, dtype=found.dtype)  # as masks that are added hide nothing
    assert torch.equal(layer(hidden, added)[0], layer(hidden)[0])
    added[1, ..., 20:] = torch.finfo(found.dtype).min
    assert not torch.equal(layer(hidden, added)[0], layer(hidden)[0])
