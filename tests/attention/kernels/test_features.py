from typing import Any

import pytest
import torch
from attention_cases import built, random_text
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.attention import Linear, Mechanism, Performer, PerformerRelu
from leanformer.attention.kernels import feature_attention
from leanformer.attention.kernels.features import causal_linear_attention, query_state, update_state

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
@given(st.integers(1, 90), st.sampled_from([1, 2, 16, 64]), st.booleans(), st.integers(0, 9))
def test_chunks_of_any_size_are_the_same(length: int, chunk: int, log: bool, seed: int) -> None:
    query, key, value = random_text(length, seed=seed)
    if not log:
        query, key = query.exp(), key.exp()
    kernels = (query.exp() @ key.exp().mT if log else query @ key.mT).tril()
    expected = kernels @ value / kernels.sum(-1, keepdim=True)
    found = causal_linear_attention(None, query, key, value, None, log=log, chunk=chunk)[0]
    torch.testing.assert_close(found, expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.booleans())
def test_a_text_goes_on_from_a_state(before: int, after: int, log: bool) -> None:
    text = random_text(before + after)
    query, key, value = text if log else tuple(x.exp() for x in text)
    _, state = causal_linear_attention(
        None, query[:, :, :before], key[:, :, :before], value[:, :, :before], None, log=log
    )
    rest, _ = causal_linear_attention(
        state, query[:, :, before:], key[:, :, before:], value[:, :, before:], None, log=log
    )
    whole = causal_linear_attention(None, query, key, value, None, log=log)[0]
    torch.testing.assert_close(rest, whole[:, :, before:])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mechanism", MAPS)
def test_segments_are_one_text(
    mechanism: Mechanism, causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first segments of one text are hidden as a whole, the last of another, all of a third."""
    attention, text = built(mechanism, causal), random_text(75, 3)
    keep = torch.ones(3, 75, dtype=torch.bool)
    keep[0, :37], keep[1, 22:], keep[2] = False, False, False
    expected = attention(*text, keep)
    for name in ("SEGMENT", "SUMMED"):
        monkeypatch.setattr(feature_attention, name, 16)
    torch.testing.assert_close(attention(*text, keep), expected)
    assert torch.equal(attention(*text, keep)[2], torch.zeros_like(expected[2]))


def test_earlier_keys_do_not_vanish_beside_later_ones() -> None:
    query, key, value = (x.float() for x in random_text(60))
    later = key.clone()
    later[:, :, 30:] += 300
    before, after = (
        causal_linear_attention(None, query, x, value, None, log=True)[0] for x in (key, later)
    )
    torch.testing.assert_close(after[:, :, :30], before[:, :, :30])


def test_later_keys_do_not_round_earlier_ones_away() -> None:
    query, key, value = (x.exp().float() for x in random_text(150))
    later = key.clone()
    later[:, :, 100:] *= 1e9
    before, after = (
        causal_linear_attention(None, query, x, value, None, log=False)[0] for x in (key, later)
    )
    torch.testing.assert_close(after[:, :, :100], before[:, :, :100])


def test_a_chunk_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk: 48; of logarithms it is a power of two"):
        causal_linear_attention(None, *random_text(5), None, log=True, chunk=48)


def test_logarithms_are_the_features_themselves() -> None:
    query, key, value = random_text(70)
    plain = query_state(update_state(None, key.exp(), value, log=False), query.exp(), log=False)
    torch.testing.assert_close(
        query_state(update_state(None, key, value, log=True), query, log=True), plain
    )


def test_the_last_token_of_a_causal_text_sees_everything() -> None:
    query, key, value = (x.exp() for x in random_text(130))
    last = causal_linear_attention(None, query, key, value, None, log=False)[0][:, :, -1:]
    whole = update_state(None, key, value, log=False)
    torch.testing.assert_close(last, query_state(whole, query[:, :, -1:], log=False))


def test_large_logarithms_do_not_overflow() -> None:
    query, key, value = (x.float() for x in random_text(100))
    key[:, :, 60:] += 300
    assert (
        query_state(update_state(None, key, value, log=True), query * 50, log=True).isfinite().all()
    )
    assert causal_linear_attention(None, query * 50, key, value, None, log=True)[0].isfinite().all()
