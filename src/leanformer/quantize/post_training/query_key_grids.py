"""Where attention multiplies queries with keys: grids for both, so that it multiplies integers.

    q̂ = FQ(x W_qᵀ + b_q)      k̂ = FQ(x W_kᵀ + b_k)      scores = q̂ k̂ᵀ / √K

The kernel of a linear layer writes its output in eight bits at no cost, and heads are then cut out
of a quarter of the bytes. The grids are symmetric: a sum over K products has no correction terms
then. Values are left alone: they are multiplied with probabilities, which eight bits say badly.

Legend: N row, I in, O out, K head width.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from leanformer.calibrate.ranges import observe_rows
from leanformer.models.anatomy import multiplied
from leanformer.numerics.grid import Grid, symmetric_grid


def query_key_grids(
    model: Any, batches: Iterable[dict[str, Tensor]], layers: Iterable[str]
) -> dict[str, Grid]:
    """The grid of the outputs of each query and key layer, by the layer's name.

    Args:
        model: The float model; it is run in evaluation mode.
        batches: Keyword arguments of the model, with `attention_mask` where there is padding.
        layers: Names of linear layers; those that are no queries or keys are passed over.

    Returns:
        A symmetric 8-bit grid up to the largest absolute output on real tokens. Empty where
        attention does something to queries before it multiplies them (a rotation), or is not
        known.
    """
    named = {name: model.get_submodule(name) for name in multiplied(model)}
    named = {name: named[name] for name in layers if name in named}
    bounds: dict[str, Tensor] = {}

    def widen(name: str, x_NI: Tensor) -> None:
        bound = named[name].forward(x_NI).abs().max()  # called, it would be observed again
        bounds[name] = torch.maximum(bound, bounds.get(name, bound))

    if named:
        observe_rows(model, named, list(batches), widen)
    return {name: symmetric_grid(bound) for name, bound in bounds.items()}
