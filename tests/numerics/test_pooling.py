import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.numerics.pooling import mean_pooled

MASK = torch.tensor([[1, 1, 1, 0, 0, 0, 0], [1] * 7, [1, 0, 0, 0, 0, 0, 0]])


def hidden(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 7, 5, dtype=torch.float64, generator=generator)


def test_the_mean_of_the_real_tokens_has_length_one() -> None:
    states = hidden()
    for row, length in enumerate((3, 7, 1)):
        mean = sum(states[row, place] for place in range(length)) / length
        torch.testing.assert_close(mean_pooled(states, MASK)[row], mean / mean.pow(2).sum().sqrt())


@given(seed=st.integers(0, 99), extra=st.integers(0, 4), noise=st.floats(-1e3, 1e3))
def test_padding_has_no_share(seed: int, extra: int, noise: float) -> None:
    states = hidden(seed)
    filled = states.masked_fill(MASK.unsqueeze(-1) == 0, noise)
    wider = torch.nn.functional.pad(filled, (0, 0, 0, extra), value=noise)
    mask = torch.nn.functional.pad(MASK, (0, extra))
    torch.testing.assert_close(mean_pooled(wider, mask), mean_pooled(states, MASK))


def test_gradient() -> None:
    states = hidden().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: mean_pooled(x, MASK), (states,))


def test_nothing_to_pool_is_zero_and_not_nan() -> None:
    assert mean_pooled(hidden(), torch.zeros_like(MASK)).abs().sum() == 0
