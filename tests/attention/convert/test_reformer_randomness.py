"""What a converted Reformer draws: rotations, and dropout that is the same when run again."""

import pytest
import torch
from convert_cases import EXACT
from reformer_cases import NO_DROPOUT, agree, both, texts


def test_rounds_may_be_asked_for_also_of_a_model_that_trains() -> None:
    theirs, ours = both(hash_seed=7)
    inputs = texts(48, hidden=True)
    agree(theirs, ours, {**inputs, "num_hashes": 3})
    other, _ = both(hash_seed=7, num_hashes=3)
    ours.train()(**inputs, num_hashes=3).last_hidden_state.square().sum().backward()
    other.train()(**inputs).last_hidden_state.square().sum().backward()
    weight = "encoder.layers.1.attention.self_attention.query_key.weight"
    one, two = (model.get_parameter(weight).grad for model in (ours, other))
    torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("hash_seed", [None, 7])
def test_dropout_is_the_same_when_reversible_layers_run_again(
    rounds: int, hash_seed: int | None
) -> None:
    _, ours = both(num_hashes=rounds, hash_seed=hash_seed, **dict.fromkeys(NO_DROPOUT, 0.3))
    generator = torch.Generator().manual_seed(0)
    one, two, grad = (
        torch.randn(3, 32, 32, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    for layer in ours.train().encoder.layers:
        out = layer(one, two)
        back = layer.backward_pass(
            out.attn_output, out.hidden_states, grad, grad, buckets=out.buckets
        )
        torch.testing.assert_close(back.attn_output, one, **EXACT)
        torch.testing.assert_close(back.hidden_states, two, **EXACT)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("rounds", [1, 2])
def test_weights_are_dropped_in_training_alone(number: int, rounds: int) -> None:
    _, ours = both(num_hashes=rounds, hash_seed=7, **dict.fromkeys(NO_DROPOUT, 0.5))
    layer = ours.encoder.layers[number].attention.self_attention
    hidden = torch.randn(1, 16, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    exact = layer(hidden).hidden_states.detach()
    assert torch.equal(layer(hidden).hidden_states, exact)
    torch.manual_seed(0)
    layer.train()
    several = torch.stack([layer(hidden).hidden_states.detach() for _ in range(500)])
    assert not torch.equal(several[0], several[1])  # the seed of hashes is theirs alone
    off = (several.mean(0) - exact).abs() / (several.std(0) / 500**0.5).clamp(min=1e-12)
    assert off.mean() < 1.5  # of a normal variable it is 0.8


def test_a_seed_of_hashes_leaves_other_random_numbers_alone() -> None:
    _, ours = both(hash_seed=7)
    before = torch.get_rng_state()
    ours(**texts(40, hidden=False))
    assert torch.equal(torch.get_rng_state(), before)
