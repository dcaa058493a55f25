import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.quantize.quantizer import WeightStatistics
from leanformer.quantize.quantizers import Ternary, TernaryLossAware
from leanformer.quantize.quantizers.ternary_loss_aware import loss_aware


def random(rows, columns, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()


def objective(given, steep, found):
    return float((steep * (given - found.dequantized()).square()).sum())


def test_one_round_is_the_equation():
    given, steep = random(3, 5), random(3, 5, 1).square()
    b = Ternary().quantize(given).codes_OI.double()
    alpha = (b * steep * given).abs().sum() / (b * steep).abs().sum()
    b = torch.where(given.abs() > alpha / 2, given.sign(), 0.0)
    found = loss_aware(given, steep, (3, 5), iterations=1)
    torch.testing.assert_close(found.dequantized(), alpha * b)


@given(st.integers(0, 200))
def test_the_objective_never_rises(seed):
    given, steep = random(4, 9, seed), random(4, 9, seed + 1000).square()
    losses = [
        objective(given, steep, loss_aware(given, steep, (1, 9), iterations=n)) for n in range(1, 9)
    ]
    assert all(later <= first + 1e-12 for first, later in itertools.pairwise(losses))


def test_it_lies_between_the_plain_solution_and_the_best_of_all_ternary_vectors():
    reached = 0
    for seed in range(20):
        given, steep = random(1, 6, seed), random(1, 6, seed + 50).square() + 0.01
        best = float("inf")
        for codes in itertools.product((-1, 0, 1), repeat=6):
            b = torch.tensor([codes], dtype=torch.float64)
            alpha = (b * steep * given).sum() / (steep * b.abs()).sum().clamp(min=1e-9)
            best = min(best, float((steep * (given - alpha * b).square()).sum()))
        found = objective(given, steep, loss_aware(given, steep, (1, 6)))
        assert best - 1e-9 <= found <= objective(given, steep, Ternary().quantize(given)) + 1e-12
        reached += found < best + 1e-9
    assert reached >= 8, "alternation ends in a local optimum, but often in the best one"


def test_second_moments_are_the_square_of_the_curvature():
    given, moment = random(3, 5), random(3, 5, 1).square()
    found = TernaryLossAware(iterations=4).quantize(given, WeightStatistics(None, moment))
    expected = loss_aware(given, moment.sqrt(), (3, 5), 4)
    assert torch.equal(found.dequantized(), expected.dequantized())


@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_without_second_moments_or_with_equal_ones_it_is_plain(granularity):
    given = random(3, 5)
    plain = Ternary(granularity=granularity).quantize(given).dequantized()
    aware = TernaryLossAware(granularity=granularity)
    assert torch.equal(aware.quantize(given).dequantized(), plain)
    nothing = WeightStatistics(second_moment_OI=torch.zeros(3, 5).double())
    flat = aware.quantize(given, nothing)
    assert flat.dequantized().isfinite().all()


def test_refusals():
    with pytest.raises(ValueError, match="iterations: 0 is not at least 1"):
        TernaryLossAware(iterations=0)
    with pytest.raises(ValueError, match="weight: it holds NaN or infinity"):
        TernaryLossAware().quantize(torch.tensor([[torch.nan]]))
