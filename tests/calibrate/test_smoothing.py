import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.calibrate.ranges import observe_ranges
from leanformer.calibrate.smoothing import same_inputs, smoothing, weights_of
from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model


@given(st.floats(0, 1), st.integers(0, 99))
def test_it_is_the_papers_formula_and_leaves_the_product_unchanged(alpha, seed):
    generator = torch.Generator().manual_seed(seed)
    x, weight = torch.randn(9, 5, generator=generator), torch.randn(3, 5, generator=generator)
    channel = x.abs().amax(0)
    divisor = smoothing(channel, weight, alpha)
    torch.testing.assert_close(
        divisor, channel**alpha / weight.abs().amax(0) ** (1 - alpha), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(
        (x / divisor) @ (weight * divisor).T, x @ weight.T, rtol=1e-3, atol=1e-3
    )


def test_a_dead_channel_is_left_alone():
    assert smoothing(torch.zeros(2), torch.ones(3, 2)).tolist() == [1, 1]


def test_alpha_has_bounds():
    with pytest.raises(ValueError, match="alpha: 2 is not between 0 and 1"):
        smoothing(torch.ones(2), torch.ones(3, 2), 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_query_key_and_value_read_the_same_and_nobody_else_does(family):
    head = "causal" if family in ("gpt2", "llama") else "classification"
    model = tiny_model(family, head=head)[0].train()
    ids = torch.arange(4, 12)[None]
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    layers = tuple(observe_ranges(model, [batch]))
    groups = same_inputs(model, batch, layers)
    assert sorted(name for names in groups for name in names) == sorted(layers)
    seen = {}
    handles = [
        model.get_submodule(name).register_forward_pre_hook(
            lambda module, inputs, name=name: seen.update({name: inputs[0].clone()})
        )
        for name in layers
    ]
    model.eval()(**batch)
    for handle in handles:
        handle.remove()
    for names in groups:
        assert all(torch.equal(seen[name], seen[names[0]]) for name in names)
    alike = {
        (one, other)
        for one in layers
        for other in layers
        if "pos_" not in one + other  # DeBERTa's layers read views of one table
        and seen[one].shape == seen[other].shape
        and torch.equal(seen[one], seen[other])
    }
    pairs = {(one, other) for names in groups for one in names for other in names}
    assert alike == {(one, other) for one, other in pairs if "pos_" not in one + other}
    weight = weights_of(model, groups[0])
    assert weight.shape[0] == sum(model.get_submodule(name).out_features for name in groups[0])
