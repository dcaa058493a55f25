"""2:4 on a GPU: sparse tensor cores multiply half of the weights in up to half of the time.

    each four consecutive weights of a row have at least two zeros
    stored: the other two values, and a two-bit position for each

`sparsify` and `sparse-gpt` make such weights (`pattern = "n-of-m"`). In a dense matrix they save no
time. `semi_structured` converts them for torch's sparse kernels, which need a GPU (Ampere or later)
and half precision, int8 or tf32. There is no such kernel for a CPU.

Source: Mishra et al. 2021, arXiv:2104.08378. Legend: O out, I in.
"""

import torch
from torch import Tensor, nn
from torch.sparse import to_sparse_semi_structured

_TILES = {torch.float16: (32, 64), torch.bfloat16: (32, 64)}  # the least that all kernels take


def two_of_four(weight_OI: Tensor) -> bool:
    """Whether each four consecutive weights of a row have at least two zeros."""
    if weight_OI.shape[1] % 4:
        return False
    return bool((weight_OI.unflatten(1, (-1, 4)).count_nonzero(dim=-1) <= 2).all())


def semi_structured(model: nn.Module) -> list[str]:
    """Convert the 2:4 weights of a model for sparse kernels, in place; it cannot be trained then.

    Args:
        model: On a GPU, in float16 or bfloat16.

    Returns:
        The names of the linear layers that run sparse; the others stay dense.

    Raises:
        ValueError: The model is not on a GPU, or no weight of it is 2:4, of half precision and of a
            size that the kernels take.
    """
    linears = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    if devices := {str(linear.weight.device) for linear in linears.values() if _off(linear)}:
        raise ValueError(
            f"semi-structured: weights are on {', '.join(sorted(devices))}, where no kernel skips "
            "zeros; move the model to a GPU, or make it smaller with `shrink`"
        )
    chosen = [name for name, linear in linears.items() if _fits(linear.weight)]
    if not chosen:
        raise ValueError(
            "semi-structured: no linear layer has a 2:4 weight of float16 or bfloat16 whose rows "
            "are a multiple of 32 and columns of 64; prune with sparsity = 0.5 and "
            'pattern = "n-of-m", and load the model with dtype=torch.float16'
        )
    for name in chosen:
        sparse_OI = to_sparse_semi_structured(linears[name].weight.detach())
        linears[name].weight = nn.Parameter(sparse_OI, requires_grad=False)
    return chosen


def _off(linear: nn.Linear) -> bool:
    return linear.weight.device.type != "cuda"


def _fits(weight_OI: Tensor) -> bool:
    tile = _TILES.get(weight_OI.dtype)
    if tile is None:
        return False
    whole = all(size % step == 0 for size, step in zip(weight_OI.shape, tile, strict=True))
    return whole and two_of_four(weight_OI)
