from typing import Any

import pytest
import torch
from attention_cases import built, random_text
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.attention import Linear, Mechanism, Performer, PerformerRelu
from leanformer.attention.features import mix_all, mix_causal

MAPS = [Linear(), Performer(features=12), PerformerRelu(features=10)]


@pytest.mark.parametrize("mechanism", MAPS)
def test_token_by_token_is_all_at_once(mechanism: Mechanism) -> None:
    attention: Any = built(mechanism, True)
    query, key, value = random_text(150)
    expected, state = attention(query, key, value), None
    for token in range(150):
        one = (x[:, :, token : token + 1] for x in (query, key, value))
        mixed, state = attention.step(*one, state)
        torch.testing.assert_close(mixed, expected[:, :, token : token + 1])
    assert state is not None
    assert state.sums.shape[2:] == (state.peak.shape[-1], 9)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.sampled_from([1, 7, 16, 64]), st.booleans(), st.integers(0, 9))
def test_chunks_of_any_size_are_the_same(length: int, chunk: int, log: bool, seed: int) -> None:
    query, key, value = random_text(length, seed=seed)
    if not log:
        query, key = query.exp(), key.exp()
    whole = mix_causal(query, key, value, None, log=log, chunk=length)
    torch.testing.assert_close(mix_causal(query, key, value, None, log=log, chunk=chunk), whole)


def test_logarithms_are_the_features_themselves() -> None:
    query, key, value = random_text(70)
    plain = mix_all(query.exp(), key.exp(), value, None, log=False)
    torch.testing.assert_close(mix_all(query, key, value, None, log=True), plain)


def test_the_last_token_of_a_causal_text_sees_everything() -> None:
    query, key, value = (x.exp() for x in random_text(130))
    last = mix_causal(query, key, value, None, log=False)[:, :, -1:]
    torch.testing.assert_close(last, mix_all(query[:, :, -1:], key, value, None, log=False))


def test_large_logarithms_do_not_overflow() -> None:
    query, key, value = (x.float() for x in random_text(100))
    key[:, :, 60:] += 300
    for mix in (mix_all, mix_causal):
        assert mix(query * 50, key, value, None, log=True).isfinite().all()
