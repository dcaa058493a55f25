"""Attention heads are removed physically: rows of query, key and value, columns of the output.

Because head h of K channels reaches the layer only through its block of columns of the output
projection W_O,

    out = Σ_h  A_h V_h  W_O[:, hK : hK+K]ᵀ + b,

leaving h out of the sum is the same as cutting its block: the cut model equals the model with h
masked at the head point.

Where query heads share key and value heads (Llama: H query heads in G groups), attention needs
groups of equal size. So a whole group may go, and the groups that stay must keep the same number of
query heads each; which ones, may differ.
"""

from torch import nn

from leanformer.models.anatomy import Anatomy, require_prunable
from leanformer.models.anatomy.cuts import cut_heads
from leanformer.models.cutting.selection import Keep, per_layer
from leanformer.models.lean.per_layer_shapes import describe


def keep_heads(model: nn.Module, keep: Keep) -> None:
    """Keep these attention heads and remove the others, in place; the configuration follows.

    Args:
        model: A transformers model of a known family, with any head.
        keep: Query heads to keep by layer.

    Raises:
        ValueError: Unknown architecture, indices that do not fit, or groups of unequal size;
            nothing was changed.
    """
    anatomy = require_prunable(model)
    layers = anatomy.layers(model)
    chosen = per_layer(keep, [anatomy.heads(layer) for layer in layers], "head")
    groups = [
        _groups_kept(anatomy, layer, heads, number)
        for number, (layer, heads) in enumerate(zip(layers, chosen, strict=True))
    ]
    for layer, heads, kv_heads in zip(layers, chosen, groups, strict=True):
        cut_heads(anatomy, layer, heads, kv_heads)
    describe(model)


def _groups_kept(anatomy: Anatomy, layer: nn.Module, heads: list[int], number: int) -> list[int]:
    """The key and value heads that the query heads `heads` need."""
    size = anatomy.heads(layer) // anatomy.kv_heads(layer)
    members: dict[int, int] = {}
    for head in heads:
        members[head // size] = members.get(head // size, 0) + 1
    if len(set(members.values())) > 1:
        raise ValueError(
            f"layer {number}: {size} query heads share a key head, and the kept groups hold "
            f"{sorted(members.values())} of them; keep equally many in each, or drop whole groups"
        )
    return sorted(members)
