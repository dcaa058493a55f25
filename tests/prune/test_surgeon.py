import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from leanformer.prune.pattern import kept_units
from leanformer.prune.patterns import NOfM, Unstructured
from leanformer.prune.surgeon import removal_loss, remove, sparse_weight


def inputs(count: int = 200, size: int = 8, seed: int = 0) -> Tensor:
    """Inputs that rise and fall together, [N, I]."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(size, size, generator=generator).double()
    return torch.randn(count, size, generator=generator).double() @ mix


def best(weight_I: Tensor, x_NI: Tensor, gone: list[int]) -> Tensor:
    """Least squares to the outputs with some weights held at zero."""
    rest = [index for index in range(len(weight_I)) if index not in gone]
    found = torch.zeros_like(weight_I)
    found[rest] = torch.linalg.lstsq(x_NI[:, rest], x_NI @ weight_I).solution
    return found


def error(weight: Tensor, other: Tensor, x_NI: Tensor) -> float:
    return float(((other - weight) @ x_NI.T).square().sum())


def pruned(seed: int, keep: float) -> tuple[Tensor, Tensor, Tensor]:
    """A weight, what is left of it, and the inputs."""
    x = inputs(seed=seed)
    weight = torch.randn(5, 8, generator=torch.Generator().manual_seed(seed)).double()
    found = sparse_weight(weight, x.T @ x / 200, Unstructured(), 1 - keep, damp_percent=1e-9)
    return weight, found, x


def test_the_others_move_to_the_least_squares_optimum() -> None:
    x, weight = inputs(), torch.randn(8, generator=torch.Generator().manual_seed(1)).double()
    inverse = torch.linalg.inv(x.T @ x)
    moved, gone = weight, []
    for index in (3, 0, 6):
        predicted = removal_loss(moved, inverse)[index]
        before = error(weight, moved, x) / 2
        moved, inverse = remove(moved, inverse, index)
        gone.append(index)
        torch.testing.assert_close(moved, best(weight, x, gone))
        assert error(weight, moved, x) / 2 - before == pytest.approx(float(predicted), rel=1e-8)
        assert (inverse[gone] == 0).all()
    assert removal_loss(moved, inverse)[gone].tolist() == [0, 0, 0]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), keep=st.sampled_from([0.25, 0.5, 0.75]))
def test_as_many_stay_as_asked_and_no_less_is_lost_than_must_be(seed: int, keep: float) -> None:
    weight, found, x = pruned(seed, keep)
    assert (found != 0).sum() == round(keep * 40)
    least = sum(
        error(row, best(row, x, (kept == 0).nonzero().flatten().tolist()), x)
        for row, kept in zip(weight, found, strict=True)
    )
    assert least <= error(weight, found, x) * (1 + 1e-6)


def test_making_up_for_what_goes_loses_much_less_than_dropping_it() -> None:
    """Inputs of which neighbours are alike, as those of real layers are."""
    lost, dropped = [], []
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(400, 32, generator=generator).double()
        x = noise + 0.8 * noise.roll(1, dims=1) + 0.6 * noise.roll(2, dims=1)
        weight = torch.randn(5, 32, generator=generator).double()
        found = sparse_weight(weight, x.T @ x / 400, Unstructured(), 0.5, block_size=8)
        lost.append(error(weight, found, x))
        dropped.append(error(weight, weight * (found != 0), x))
    assert sum(lost) < 0.7 * sum(dropped)


def test_inputs_that_do_not_correlate_leave_the_rest_as_it_is() -> None:
    weight, scale = torch.randn(4, 8).double(), torch.rand(8).double() + 0.1
    found = sparse_weight(weight, torch.diag(scale), Unstructured(), 0.5, damp_percent=1e-12)
    (kept,) = kept_units(Unstructured(), [weight.square() * scale], 0.5)
    torch.testing.assert_close(found, weight * kept)


@pytest.mark.parametrize("span", [4, 8, 16])
def test_two_of_four_holds_in_any_span(span: int) -> None:
    x, weight = inputs(size=16), torch.randn(6, 16).double()
    found = sparse_weight(weight, x.T @ x / 200, NOfM(), 0.5, block_size=span)
    assert (found.reshape(-1, 4).count_nonzero(dim=1) == 2).all()
