"""What the inputs of each linear layer have in common: the matrix that second-order rounding needs.

    H = 1/N  Σ_N  x_N x_Nᵀ

It is half the Hessian of the layer's squared output error by any row of its weight: how much an
error in one weight costs, and which other weights can make up for it. Padding is left out. The sum
is taken batch by batch, so memory does not grow with the texts: I² numbers a layer. Where that is
too much (a model of width 4096 in float64 needs 128 MB a layer), name a few `layers` at a time.

Legend: N real token of any text, I in.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from leanformer.calibrate.ranges import observe_rows
from leanformer.models.anatomy.channels import is_linear


def gather_grams(
    model: nn.Module,
    batches: Iterable[dict[str, Tensor]],
    *,
    layers: tuple[str, ...] | None = None,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """H of the inputs of each linear layer that is reached, [I, I], by the layer's name.

    Args:
        model: The float model; it is run in evaluation mode.
        batches: Keyword arguments of the model, with `attention_mask` where there is padding.
        layers: Only these layers; all that are reached, unless given.
        dtype: Of the sums; float32 takes half the memory.

    Raises:
        ValueError: There are no batches or no real token in them, a layer is no linear layer, or
            what goes into one is not finite.
    """
    batches = list(batches)
    if not batches:
        raise ValueError("batches: none to gather from; give about 128 texts")
    linears = {n: m for n, m in model.named_modules() if is_linear(m)}
    if unknown := [name for name in layers or () if name not in linears]:
        raise ValueError(f"layers: no linear layer is named {', '.join(unknown)}")
    chosen = {name: linears[name] for name in (layers or linears)}
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(chosen, 0)

    def add(name: str, x_NI: Tensor) -> None:
        x_NI = x_NI.to(dtype)
        if name not in sums:
            sums[name] = torch.zeros(x_NI.shape[1], x_NI.shape[1], dtype=dtype, device=x_NI.device)
        sums[name].addmm_(x_NI.T, x_NI)
        counts[name] += len(x_NI)

    observe_rows(model, chosen, batches, add)
    for name, total_II in sums.items():
        _check(name, total_II, counts[name])
    return {name: total_II / counts[name] for name, total_II in sums.items()}


def output_loss(weight_OI: Tensor, other_OI: Tensor, gram_II: Tensor) -> float:
    """What a layer loses with another weight: squared error of its outputs over their size.

        tr(E H Eᵀ) / tr(W H Wᵀ),  E = W' - W

    Args:
        weight_OI: W, the layer's weight.
        other_OI: W'.
        gram_II: H of the inputs.
    """
    weight_OI, other_OI = (w.detach().to(gram_II.dtype) for w in (weight_OI, other_OI))
    error_OI = other_OI - weight_OI
    lost = ((error_OI @ gram_II) * error_OI).sum()
    return float(lost / ((weight_OI @ gram_II) * weight_OI).sum().clamp(min=1e-30))


def _check(name: str, total_II: Tensor, count: int) -> None:
    if not count:
        raise ValueError(
            f"{name}: no real token went into it; the attention mask is 0 everywhere, give texts"
        )
    if not torch.isfinite(total_II).all():
        raise ValueError(
            f"{name}: its inputs are not finite; look for NaN in the model's weights, or for a "
            "text that makes them"
        )
