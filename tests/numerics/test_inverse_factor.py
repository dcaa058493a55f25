import pytest
import torch

from leanformer.numerics.inverse_factor import inverse_factor


def test_it_is_the_factor_of_the_damped_inverse() -> None:
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).double()
    matrix = x.T @ x / 50
    factor = inverse_factor(matrix, 0.01)
    damped = matrix + 0.01 * matrix.diagonal().mean() * torch.eye(8).double()
    torch.testing.assert_close(factor.T @ factor, torch.linalg.inv(damped))
    assert torch.equal(factor, factor.triu())


def test_no_curvature_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not positive definite with damping 0\.01; give more"):
        inverse_factor(torch.zeros(3, 3).double(), 0.01)
