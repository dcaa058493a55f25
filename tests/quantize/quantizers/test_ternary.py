import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.quantize.quantizers import Ternary


def weight(rows=4, columns=6, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()


def error(given, found):
    return float((given - found.dequantized()).square().sum())


def test_it_is_the_equation():
    given = weight()
    delta = 0.7 * given.abs().mean()
    alpha = given.abs()[given.abs() > delta].mean()
    expected = torch.where(given.abs() > delta, alpha * given.sign(), 0.0)
    found = Ternary().quantize(given)
    torch.testing.assert_close(found.dequantized(), expected)
    assert (found.bits, found.scale.numel()) == (2, 1)


def test_rows_have_an_alpha_of_their_own():
    found = Ternary(granularity="row").quantize(weight())
    alone = torch.stack([Ternary().quantize(row[None]).dequantized()[0] for row in weight()])
    torch.testing.assert_close(found.dequantized(), alone)
    assert found.row_scaled


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_is_that_of_all_ternary_vectors(seed):
    given = weight(1, 6, seed)
    best = float("inf")
    for codes in itertools.product((-1, 0, 1), repeat=6):
        b = torch.tensor([codes], dtype=torch.float64)
        alpha = (b * given).sum() / b.abs().sum().clamp(min=1)
        best = min(best, float((given - alpha * b).square().sum()))
    assert error(given, Ternary(optimal=True).quantize(given)) == pytest.approx(best, abs=1e-12)


@given(st.integers(0, 200), st.sampled_from(["tensor", "row"]))
def test_the_optimum_is_never_worse_than_the_rule(seed, granularity):
    given = weight(5, 9, seed)
    rule, best = Ternary(granularity=granularity), Ternary(granularity=granularity, optimal=True)
    assert error(given, best.quantize(given)) <= error(given, rule.quantize(given)) + 1e-12


def test_on_a_gaussian_the_rule_keeps_58_percent_and_the_optimum_54():
    given = weight(200, 500)
    kept = [
        float(Ternary(optimal=best).quantize(given).codes_OI.ne(0).double().mean())
        for best in (False, True)
    ]
    assert kept == pytest.approx([0.577, 0.541], abs=0.01)


@pytest.mark.parametrize("optimal", [False, True])
def test_zeros_stay_zeros(optimal):
    found = Ternary(optimal=optimal).quantize(torch.zeros(3, 4))
    assert torch.equal(found.dequantized(), torch.zeros(3, 4))


def test_a_weight_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="weight: it holds NaN or infinity"):
        Ternary().quantize(torch.tensor([[torch.inf]]))
