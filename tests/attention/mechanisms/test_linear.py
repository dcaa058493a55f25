import pytest
import torch
from attention_cases import built, random_text

from leanformer.attention import Linear
from leanformer.attention.mechanisms.linear import EluPlusOne


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_papers_sum(causal: bool) -> None:
    attention = built(Linear(), causal)
    query, key, value = random_text(13)
    asked, read = (torch.where(x > 0, x + 1, x.exp()) for x in (query, key))
    expected = torch.zeros_like(value)
    for token in range(13):
        seen = range(token + 1) if causal else range(13)
        weights = torch.stack([(asked[:, :, token] * read[:, :, s]).sum(-1) for s in seen], -1)
        mixed = torch.einsum("bhs,bhsd->bhd", weights, value[:, :, list(seen)])
        expected[:, :, token] = mixed / weights.sum(-1, keepdim=True)
    torch.testing.assert_close(attention(query, key, value), expected)


def test_scaling_is_left_out() -> None:
    attention, text = built(Linear()), random_text(9)
    assert torch.equal(attention(*text, scaling=3.0), attention(*text))


def test_long_sums_are_of_float32_in_half_precision() -> None:
    """In bfloat16 a sum of thousands of equal terms stops growing at 256."""
    attention = built(Linear(), True).to(torch.bfloat16)
    ones = torch.ones(1, 4, 3000, 8, dtype=torch.bfloat16)
    value = torch.zeros_like(ones)
    value[:, :, 1500:] = 1
    found = attention(ones, ones, value)
    assert found[0, 0, -1].float() == pytest.approx(0.5, abs=0.01)


def test_features_have_the_gradients_of_elu() -> None:
    x = torch.linspace(-3, 3, 13, dtype=torch.float64, requires_grad=True)  # 0 among them
    found, expected = EluPlusOne.apply(x), torch.nn.functional.elu(x) + 1
    assert torch.equal(found, expected)
    (one,), (other,) = (torch.autograd.grad(y.square().sum(), x) for y in (found, expected))
    torch.testing.assert_close(one, other)
    away = (x.detach() + 0.1).requires_grad_()  # the second derivative jumps at 0
    assert torch.autograd.gradgradcheck(EluPlusOne.apply, away)
    torch.testing.assert_close(torch.vmap(EluPlusOne.apply)(x[None]), found[None])
