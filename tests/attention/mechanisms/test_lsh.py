from typing import Any

import pytest
import torch
from attention_cases import built, random_text
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from leanformer.attention import LSH
from leanformer.attention.mechanisms.lsh import angular_hash


def naive(attention: Any, text: Any, window: int, *, causal: bool, shared: bool = False) -> Tensor:
    """Token by token: the nearest of each bucket, all rounds together, each key once."""
    query, key, value = text
    rounds = angular_hash(key, attention.rotations)
    mixed = torch.zeros_like(query)
    batch, heads, length, width = query.shape
    for row in range(batch):
        for head in range(heads):
            for token in range(length):
                seen: set[int] = set()
                for buckets in rounds[:, row, head].tolist():
                    mine = [place for place in range(length) if buckets[place] == buckets[token]]
                    at = mine.index(token)
                    after = at if causal else at + window
                    seen |= set(mine[max(0, at - window) : after + 1])
                if shared and len(seen) > 1:
                    seen.discard(token)
                places = sorted(seen)
                keys = key[row, head, places]
                scale = 1.0 if shared else width**-0.5
                if shared:
                    keys = keys / keys.norm(dim=-1, keepdim=True)
                weights = (keys @ query[row, head, token] * scale).softmax(0)
                mixed[row, head, token] = weights @ value[row, head, places]
    return mixed


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("rounds", "window"), [(1, 2), (3, 1), (2, 50)])
def test_it_is_the_softmax_over_the_nearest_of_each_bucket(
    rounds: int, window: int, causal: bool
) -> None:
    attention = built(LSH(buckets=4, num_hashes=rounds, window=window), causal)
    text = random_text(23)
    expected = naive(attention, text, window, causal=causal)
    torch.testing.assert_close(attention(*text), expected)


@pytest.mark.parametrize("causal", [False, True])
def test_shared_keys_are_of_length_one_and_a_token_sees_itself_last(causal: bool) -> None:
    attention = built(LSH(buckets=8, num_hashes=2, window=3, shared_qk=True), causal)
    _, key, value = random_text(19)
    text = (key, key, value)  # queries and keys are one projection
    expected = naive(attention, text, 3, causal=causal, shared=True)
    torch.testing.assert_close(attention(*text), expected)


def test_all_tokens_in_one_bucket_attend_densely() -> None:
    query, _, value = random_text(40)
    key = torch.ones_like(query) * torch.linspace(1, 2, 40, dtype=torch.float64)[:, None]
    attention = built(LSH(buckets=16, window=40))
    dense = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attention(query, key, value), dense)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 9.0), st.integers(0, 99))
def test_a_hash_does_not_see_lengths(factor: float, seed: int) -> None:
    x = random_text(30, seed=seed).key
    rotations = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(angular_hash(x, rotations), angular_hash(x * factor, rotations))
    opposite = angular_hash(-x, rotations)
    assert torch.equal(opposite, (angular_hash(x, rotations) + 5) % 10)


def test_vectors_at_a_small_angle_share_buckets_more_often() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 1, 400, 16, generator=generator)
    near = x + 0.2 * torch.randn(x.shape, generator=generator)
    far = torch.randn(x.shape, generator=generator)
    rotations = torch.randn(20, 16, 4, generator=generator)
    own, beside, other = (angular_hash(one, rotations) for one in (x, near, far))
    assert (own == beside).float().mean() > 0.6
    assert (own == other).float().mean() == pytest.approx(1 / 8, abs=0.02)


def test_chunks_read_no_later_value_but_choose_by_later_tokens() -> None:
    """What `causal = "content"` means, and why it is not the default."""
    attention = built(LSH(buckets=4, window=3, full_chunks=True), True)
    text = random_text(60)
    value = text.value.clone()
    value[:, :, 40:] += 5
    before = attention(*text)
    after = attention(text.query, text.key, value)
    torch.testing.assert_close(before[:, :, :40], after[:, :, :40])
    key = text.key.clone()
    key[:, :, 40:] = random_text(60, seed=3).key[:, :, 40:]
    moved = attention(text.query, key, text.value)
    assert not torch.allclose(before[:, :, :40], moved[:, :, :40])


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="buckets: 7 is not even"):
        LSH(buckets=7)
    with pytest.raises(ValueError, match="num_hashes: 0 is not at least 1"):
        LSH(num_hashes=0)
