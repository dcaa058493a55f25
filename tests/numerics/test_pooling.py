from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.numerics.pooling import MODES, Pooling, pool

LENGTHS = (3, 7, 1)
RIGHT = torch.tensor([[1] * length + [0] * (7 - length) for length in LENGTHS])
LEFT = RIGHT.flip(1)


def hidden(seed: int = 0, rows: int = 3, tokens: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, tokens, 5, dtype=torch.float64, generator=generator)


def naive(states_TD: torch.Tensor, mode: str) -> torch.Tensor:
    """The equation on the real tokens of one text, in Python's loops."""
    rows = states_TD.tolist()
    count, columns = len(rows), list(zip(*rows, strict=True))
    places = range(1, count + 1)
    found: dict[str, Any] = {
        "mean": [sum(column) / count for column in columns],
        "mean_sqrt_len_tokens": [sum(column) / count**0.5 for column in columns],
        "weightedmean": [
            sum(place * value for place, value in zip(places, column, strict=True)) / sum(places)
            for column in columns
        ],
        "max": [max(column) for column in columns],
        "cls": rows[0],
        "lasttoken": rows[-1],
    }
    return torch.tensor(found[mode], dtype=torch.float64)


@pytest.mark.parametrize("mask", [RIGHT, LEFT], ids=["right", "left"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_its_equation(mode: Any, normalize: bool, mask: torch.Tensor) -> None:
    states = hidden()
    found = pool(states, mask, Pooling(mode=mode, normalize=normalize))
    for row in range(3):
        expected = naive(states[row][mask[row].bool()], mode)
        if normalize:
            expected = expected / expected.pow(2).sum().sqrt()
        torch.testing.assert_close(found[row], expected)


@given(
    mode=st.sampled_from(MODES),
    normalize=st.booleans(),
    seed=st.integers(0, 99),
    before=st.integers(0, 4),
    after=st.integers(0, 4),
    noise=st.floats(-1e3, 1e3),
)
def test_padding_on_either_side_never_changes_a_vector(
    mode: Any, normalize: bool, seed: int, before: int, after: int, noise: float
) -> None:
    states, pooling = hidden(seed), Pooling(mode=mode, normalize=normalize)
    mask = torch.ones(3, 7, dtype=torch.long)
    wider = torch.nn.functional.pad(states, (0, 0, before, after), value=noise)
    padded = torch.nn.functional.pad(mask, (before, after))
    torch.testing.assert_close(pool(wider, padded, pooling), pool(states, mask, pooling))


@pytest.mark.parametrize("mask", [RIGHT, LEFT], ids=["right", "left"])
@pytest.mark.parametrize("mode", MODES)
def test_gradient(mode: Any, mask: torch.Tensor) -> None:
    states = hidden().requires_grad_()
    for normalize in (True, False):
        pooling = Pooling(mode=mode, normalize=normalize)
        assert torch.autograd.gradcheck(lambda x, p=pooling: pool(x, mask, p), (states,))


@pytest.mark.parametrize("mode", MODES)
def test_nothing_to_pool_is_zero_and_not_nan(mode: Any) -> None:
    assert pool(hidden(), torch.zeros_like(RIGHT), Pooling(mode=mode)).abs().sum() == 0


@pytest.mark.parametrize("mode", ["cls", "lasttoken", "max"])
def test_what_stands_in_the_padding_may_be_anything(mode: Any) -> None:
    states = hidden().masked_fill(LEFT.unsqueeze(-1) == 0, torch.nan)
    assert pool(states, LEFT, Pooling(mode=mode)).isfinite().all()


@pytest.mark.parametrize("mode", MODES)
def test_half_precision_is_summed_in_single(mode: Any) -> None:
    states = torch.full((1, 2000, 4), 0.1, dtype=torch.bfloat16)
    found = pool(states, torch.ones(1, 2000), Pooling(mode=mode, normalize=False))
    assert found.dtype == torch.float32
    scale = 2000**0.5 if mode == "mean_sqrt_len_tokens" else 1.0
    torch.testing.assert_close(found / scale, states[:, 0].float(), rtol=1e-4, atol=0)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pooling: 'median' is not one of mean, cls, max"):
        pool(hidden(), RIGHT, Pooling(mode="median"))  # type: ignore[arg-type]
