import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, outputs, padded, random
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from leanformer.distill.objective import Dims
from leanformer.distill.objectives import FeatureMaps
from leanformer.distill.objectives.feature_maps import feature_error

LOGITS = random(2, 3)
DEEP = Dims(4, STUDENT.hidden)


def moments(row: list[float]) -> tuple[float, float]:
    mean = sum(row) / len(row)
    return mean, sum((x - mean) ** 2 for x in row) / len(row)


def naive(ours: Tensor, theirs: Tensor, form: float, mean: float, variance: float) -> float:
    total = 0.0
    rows = [(ours[b, t].tolist(), theirs[b, t].tolist()) for b, t in KEEP.nonzero().tolist()]
    for h_s, h_t in rows:
        (mean_s, var_s), (mean_t, var_t) = moments(h_s), moments(h_t)
        normed = [
            ((x - mean_s) / var_s**0.5 - (y - mean_t) / var_t**0.5) ** 2
            for x, y in zip(h_s, h_t, strict=True)
        ]
        total += form * sum(normed) / len(normed)
        total += mean * (mean_s - mean_t) ** 2 + variance * abs(var_s - var_t)
    return total / len(rows)


@pytest.mark.parametrize("factors", [(100.0, 5000.0, 5.0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_the_error_equals_the_equation(factors: tuple[float, float, float]) -> None:
    ours, theirs = random(2, 7, 3), random(2, 7, 3, seed=1)
    found = feature_error(ours, theirs, KEEP, *factors).item()
    assert found == pytest.approx(naive(ours, theirs, *factors), rel=1e-9)


def test_gradient() -> None:
    theirs = random(2, 7, 5, seed=1)
    assert torch.autograd.gradcheck(
        lambda h: feature_error(h, theirs, KEEP), (random(2, 7, 5).requires_grad_(),)
    )


@given(seed=st.integers(0, 99), shift=st.floats(-9, 9), size=st.floats(0.5, 4))
def test_a_shift_counts_in_the_mean_alone_and_size_in_the_variance(
    seed: int, shift: float, size: float
) -> None:
    theirs = random(2, 7, 6, seed=seed)
    theirs = theirs - theirs.mean(-1, keepdim=True)
    moved = feature_error(theirs + shift, theirs, KEEP)
    assert moved.item() == pytest.approx(5000 * shift**2, rel=1e-6, abs=1e-6)
    spread = theirs[KEEP].var(-1, correction=0).mean().item()
    grown = feature_error(size * theirs, theirs, KEEP)
    assert grown.item() == pytest.approx(5 * abs(size**2 - 1) * spread, rel=1e-6, abs=1e-6)


@given(noise=st.floats(-1e6, 1e6), extra=st.integers(0, 5))
def test_padding_has_no_share_whatever_is_in_it(noise: float, extra: int) -> None:
    module = FeatureMaps().build(STUDENT, DEEP)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, DEEP, seed=50)
    found = module(padded(ours, noise, extra), padded(theirs, 0.0, extra), None)
    torch.testing.assert_close(found, module(ours, theirs, None))


@pytest.mark.parametrize(
    ("layers", "used"), [(None, [(1, 2), (2, 4)]), ((1,), [(2, 4)]), ((0,), [(1, 2)])]
)
def test_each_layer_that_is_asked_for_is_compared_with_its_own(
    layers: tuple[int, ...] | None, used: list[tuple[int, int]]
) -> None:
    module = FeatureMaps(layers=layers, form=2.0, mean=3.0, variance=4.0).build(STUDENT, DEEP)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, DEEP, seed=50)
    errors = [naive(ours.hidden[m], theirs.hidden[n], 2.0, 3.0, 4.0) for m, n in used]
    found = module(ours, theirs, None).item()
    assert found == pytest.approx(sum(errors) / len(errors), rel=1e-9)
