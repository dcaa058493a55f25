from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, random_text
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from leanformer.attention import Sinkhorn
from leanformer.attention.mechanisms.sinkhorn import sinkhorn


def scores(blocks: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, blocks, blocks, generator=generator, dtype=torch.float64)


def pairs(blocks: int, there: int) -> Tensor:
    """Pairs of blocks that both hold a token."""
    holds = torch.arange(blocks) < there
    return (holds[:, None] & holds)[None, None]


@given(there=st.integers(1, 9), hidden=st.integers(0, 4), seed=st.integers(0, 99))
def test_rows_and_columns_sum_to_one(there: int, hidden: int, seed: int) -> None:
    blocks = there + hidden
    found = sinkhorn(scores(blocks, seed), pairs(blocks, there), 300, causal=False)
    ones = (torch.arange(blocks) < there).double().expand(2, 3, -1)
    torch.testing.assert_close(found.sum(-1), ones)
    torch.testing.assert_close(found.sum(-2), ones, rtol=1e-5, atol=1e-5)
    assert (found >= 0).all()


@given(there=st.integers(1, 9), iterations=st.integers(1, 6))
def test_blocks_without_a_token_change_nothing(there: int, iterations: int) -> None:
    wide = scores(12)
    found = sinkhorn(wide, pairs(12, there), iterations, causal=False)
    alone = wide[..., :there, :there]
    expected = sinkhorn(alone, pairs(there, there), iterations, causal=False)
    torch.testing.assert_close(found[..., :there, :there], expected, rtol=1e-12, atol=0)


def test_the_logarithms_are_those_of_products() -> None:
    share = scores(7).exp()
    for _ in range(4):
        share = share / share.sum(-2, keepdim=True)
        share = share / share.sum(-1, keepdim=True)
    torch.testing.assert_close(sinkhorn(scores(7), pairs(7, 7), 4, causal=False), share)


def test_scores_too_large_for_products_are_a_permutation() -> None:
    order = torch.tensor([2, 0, 3, 1])
    steep = 4000 * torch.nn.functional.one_hot(order, 4).double()[None, None]
    found = sinkhorn(steep, pairs(4, 4), 5, causal=False)
    torch.testing.assert_close(found[0, 0].argmax(-1), order)
    torch.testing.assert_close(found.sum(-2), torch.ones(1, 1, 4, dtype=torch.float64))


def test_causal_rows_sum_to_one_and_read_no_later_row() -> None:
    wide, earlier = scores(8), torch.ones(8, 8, dtype=torch.bool).tril(-1)[None, None]
    found = sinkhorn(wide, earlier, 5, causal=True)
    assert not (found * ~earlier).any()
    torch.testing.assert_close(found.sum(-1)[..., 1:], torch.ones(2, 3, 7, dtype=torch.float64))
    assert not found[..., 0, :].any()
    short = sinkhorn(wide[..., :5, :5], earlier[..., :5, :5], 5, causal=True)
    torch.testing.assert_close(found[..., :5, :5], short, rtol=1e-12, atol=0)


@pytest.mark.parametrize("cut", [None, 2])
def test_it_is_the_equation_of_the_paper(cut: int | None) -> None:
    attention: Any = built(Sinkhorn(block_size=4, iterations=3, temperature=0.6, n_top=cut))
    query, key, value = random_text(12)
    found = attention(query, key, value, scaling=0.7)
    for text in range(2):
        for head in range(4):
            keys, values = (x[text, head].reshape(3, 4, 8) for x in (key, value))
            mean = keys.mean(1)
            logits = mean @ attention.target[head] @ (mean @ attention.source[head]).T
            share = (logits / 8**0.5 / 0.6).exp()
            for _ in range(3):
                share = share / share.sum(0, keepdim=True)
                share = share / share.sum(1, keepdim=True)
            moved = [sum(share[i, j] * keys[j] for j in range(3)) for i in range(3)]
            brought = [sum(share[i, j] * values[j] for j in range(3)) for i in range(3)]
            for token in range(12):
                i = token // 4
                seen = [keys[i], moved[i]] if cut is None else moved[:cut]
                given_ = [values[i], brought[i]] if cut is None else brought[:cut]
                weights = (0.7 * torch.cat(seen) @ query[text, head, token]).softmax(0)
                expected = weights @ torch.cat(given_)
                torch.testing.assert_close(found[text, head, token], expected)


def test_noise_is_of_training_alone() -> None:
    attention = built(Sinkhorn(block_size=4))
    text = random_text(20)
    still = attention(*text)
    assert torch.equal(still, attention(*text))
    attention.train()
    torch.manual_seed(0)
    first, second = attention(*text), attention(*text)
    assert not torch.allclose(first, second)
    torch.manual_seed(0)
    assert torch.equal(first, attention(*text))


def test_one_block_is_seen_beside_itself() -> None:
    query, key, value = random_text(7)
    dense = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(built(Sinkhorn(block_size=8))(query, key, value), dense)


def test_the_sort_learns() -> None:
    attention: Any = built(Sinkhorn(block_size=4))
    attention(*random_text(20)).square().sum().backward()
    assert attention.target.grad.abs().sum() > 0
    assert attention.source.grad.abs().sum() > 0


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="block_size: 0 is not at least 1"):
        Sinkhorn(block_size=0)
    with pytest.raises(ValueError, match=r"temperature: 0\.0 is not above 0"):
        Sinkhorn(temperature=0.0)
    with pytest.raises(ValueError, match="n_top: 0 is not at least 1"):
        Sinkhorn(n_top=0)
    with pytest.raises(ValueError, match="the layer is causal"):
        Sinkhorn(n_top=1).build(heads_of(Sinkhorn(), True))
