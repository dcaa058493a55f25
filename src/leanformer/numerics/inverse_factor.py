"""The upper Cholesky factor of an inverse: what second-order methods eliminate columns with.

    Uᵀ U = (H + δ I)⁻¹        δ = damping · mean of the diagonal of H

Row i of U beyond its diagonal says how the columns after i make up for what is taken from column i
when those before are fixed: the inverse is never updated (GPTQ, SparseGPT).

Legend: I in.
"""

import torch
from torch import Tensor


def inverse_factor(hessian_II: Tensor, damping: float) -> Tensor:
    """U, upper triangular, with Uᵀ U = (H + damping)⁻¹.

    Inputs that are always zero have no curvature; the damping alone stands for theirs.

    Raises:
        ValueError: The damped Hessian is not positive definite.
    """
    damped_II = hessian_II.clone()
    damped_II.diagonal().add_(damping * float(hessian_II.diagonal().mean()))
    factor_II = _cholesky(damped_II, damping)
    return _cholesky(torch.cholesky_inverse(factor_II), damping).T.contiguous()


def _cholesky(matrix_II: Tensor, damping: float) -> Tensor:
    """The lower factor."""
    factor_II, failed = torch.linalg.cholesky_ex(matrix_II)
    if int(failed):
        raise ValueError(
            f"hessian_II: it is not positive definite with damping {damping}; give more texts, or "
            "raise the damping (inputs that are all 0 have no Hessian)"
        )
    lower_II: Tensor = factor_II
    return lower_II
