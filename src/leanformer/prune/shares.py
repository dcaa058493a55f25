"""Where a model is sparse: the share of weights kept in each matrix and in each head.

    kept(matrix) = nonzero weights / weights
    kept(head)   = the same over its rows of W_Q, W_K, W_V and its columns of the output matrix

`drop-empty` can remove a head without any weights. Keys and values that several query heads share
count for each of these heads.

Legend: H head, K head width, D hidden width.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from leanformer.core.workspace import Workspace
from leanformer.models.anatomy import Anatomy, anatomy_of
from leanformer.models.anatomy.channels import weight_of


def record_shares(workspace: Workspace, weights: Mapping[str, Tensor]) -> None:
    """Record the event `sparsity_by_layer`: the share kept in each of `weights` and each head."""
    rows = [
        {
            "layer": name,
            "kept": int(weight.count_nonzero()) / weight.numel(),
            "weights": weight.numel(),
        }
        for name, weight in weights.items()
    ]
    heads = kept_by_head(workspace.model)
    workspace.record.write("sparsity_by_layer", model=workspace.name, rows=rows, heads=heads)


def kept_by_head(model: Any) -> list[list[float]]:
    """The share of weights kept in each head, layer by layer.

    Raises:
        ValueError: The architecture is not known.
    """
    anatomy = anatomy_of(model)
    return [_shares(anatomy, layer).cpu().tolist() for layer in anatomy.layers(model)]


def _shares(anatomy: Anatomy, layer: Any) -> Tensor:
    """[H]"""
    width, count = anatomy.head_dim(layer), anatomy.heads(layer)
    matrices = [weight_of(layer.get_submodule(path)) for path in anatomy.projections]
    if len(matrices) == 1:  # queries, keys and values in one
        matrices = list(matrices[0].chunk(3))
    matrices.append(weight_of(anatomy.head_point(layer)).T)
    shares = []
    for matrix_CD in matrices:
        kept_H = (matrix_CD.detach() != 0).unflatten(0, (-1, width)).float().mean((1, 2))
        shares.append(kept_H.repeat_interleave(count // len(kept_H)))
    return torch.stack(shares).mean(0).cpu()
