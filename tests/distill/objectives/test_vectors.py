import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from leanformer.distill.objective import Dims, Outputs
from leanformer.distill.objectives import Vectors
from leanformer.distill.objectives.cosine import cosine_distance
from leanformer.distill.objectives.vectors import vector_error


def vectors(seed: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(7, 5, dtype=torch.float64, generator=generator)


def test_the_error_is_the_equation() -> None:
    ours, theirs = vectors(0), vectors(1)
    rows = [
        sum((a - b) ** 2 for a, b in zip(s, t, strict=True)) / sum(b**2 for b in t)
        for s, t in zip(ours.tolist(), theirs.tolist(), strict=True)
    ]
    assert vector_error(ours, theirs).item() == pytest.approx(sum(rows) / 7)


def test_gradient() -> None:
    ours = vectors(0).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: vector_error(x, vectors(1)), (ours,))


@given(seed=st.integers(0, 99), factor=st.floats(0.01, 100))
def test_the_unit_of_the_vectors_does_not_matter(seed: int, factor: float) -> None:
    ours, theirs = vectors(seed), vectors(seed + 100)
    scaled = vector_error(factor * ours, factor * theirs)
    torch.testing.assert_close(scaled, vector_error(ours, theirs))


@given(seed=st.integers(0, 99))
def test_of_vectors_of_length_one_it_is_twice_the_cosine_distance(seed: int) -> None:
    ours, theirs = (F.normalize(vectors(seed + shift), dim=-1) for shift in (0, 100))
    torch.testing.assert_close(vector_error(ours, theirs), 2 * cosine_distance(ours, theirs))


def test_a_vector_that_is_too_long_costs_what_its_length_is_wrong_by() -> None:
    theirs = vectors(0)
    assert vector_error(1.5 * theirs, theirs).item() == pytest.approx(0.25)
    assert vector_error(theirs, torch.zeros_like(theirs)).isfinite()


def test_the_module_compares_the_outputs() -> None:
    ours, theirs = vectors(0), vectors(1)
    dims, keep = Dims(layers=1, hidden=5), torch.ones(7, 1, dtype=torch.bool)
    module = Vectors().build(dims, dims)
    found = module(Outputs(ours, (), keep), Outputs(theirs, (), keep), None)
    assert torch.equal(found, vector_error(ours, theirs))
