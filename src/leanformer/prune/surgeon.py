"""Optimal brain surgeon: remove a weight and let the others compensate for it.

    loss of removing q    L_q = w_q² / (2 [H⁻¹]_qq)
    compensation          δw = - (w_q / [H⁻¹]_qq) H⁻¹ e_q          its entry q is -w_q exactly
    afterwards            H⁻¹ ← H⁻¹ - H⁻¹ e_q e_qᵀ H⁻¹ / [H⁻¹]_qq   row and column q become 0

Exact for a quadratic loss at its minimum, such as the squared error of a linear layer's outputs,
whose H is the mean of x xᵀ. There every row of the weight has the same H.

`sparse_weight` prunes a whole matrix (SparseGPT). It visits the columns from left to right; later
columns compensate for what a column loses, earlier ones are final. The mask is chosen per block of
columns, by L_q at the time the block is reached. Blocks are small because L_q assumes that all
later columns can compensate, and some of those will be removed too.

Legend: O out, I in.
"""

import torch
from torch import Tensor

from leanformer.numerics.inverse_factor import inverse_factor
from leanformer.prune.pattern import Pattern, kept_units


def removal_loss(weight_I: Tensor, inverse_II: Tensor) -> Tensor:
    """L_q of every weight of a row, [I]; 0 for one that is already removed."""
    diagonal_I = inverse_II.diagonal()
    return torch.where(diagonal_I > 0, weight_I.square() / (2 * diagonal_I), 0)


def remove(weight_I: Tensor, inverse_II: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """Remove the weight at `index`: the compensated row, and the inverse without it."""
    column_I, pivot = inverse_II[:, index], inverse_II[index, index]
    moved_I = weight_I - weight_I[index] / pivot * column_I
    left_II = inverse_II - torch.outer(column_I, column_I) / pivot
    moved_I[index] = 0
    left_II[index], left_II[:, index] = 0, 0
    return moved_I, left_II


def sparse_weight(
    weight_OI: Tensor,
    hessian_II: Tensor,
    pattern: Pattern,
    sparsity: float,
    *,
    damp_percent: float = 0.01,
    block_size: int = 32,
) -> Tensor:
    """Prune a weight [O, I] where the loss is smallest; the other weights compensate.

    Args:
        weight_OI: The weight.
        hessian_II: Mean of x xᵀ over the layer's inputs.
        pattern: Which weights are removed together; each block is a weight of its own to it.
        sparsity: Share of the weights to remove in each block.
        damp_percent: Share of the mean diagonal that is added to the diagonal.
        block_size: Columns whose mask is chosen at once.

    Raises:
        ValueError: The damped Hessian is not positive definite, or the pattern does not fit.
    """
    factor_II = inverse_factor(hessian_II.double(), damp_percent)
    left_OI = weight_OI.detach().double().clone()
    error_OI = torch.zeros_like(left_OI)
    pivots_I = factor_II.diagonal()
    for start in range(0, left_OI.shape[1], block_size):
        end = min(start + block_size, left_OI.shape[1])
        scores_OI = (left_OI[:, start:end] / pivots_I[start:end]).square()
        (kept_U,) = kept_units(pattern, [pattern.units(scores_OI)], sparsity)
        kept_OI = pattern.spread(kept_U, (left_OI.shape[0], end - start))
        for i in range(start, end):
            gone_O = ~kept_OI[:, i - start]
            error_OI[:, i] = torch.where(gone_O, left_OI[:, i] / pivots_I[i], 0)
            left_OI[:, i:end] -= error_OI[:, i, None] * factor_II[i, i:end]
            left_OI[gone_O, i] = 0
        left_OI[:, end:] -= error_OI[:, start:end] @ factor_II[start:end, end:]
    return left_OI.to(weight_OI.dtype)
