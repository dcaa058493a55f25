"""What the caller wants to keep, checked before anything is changed."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

Keep = Mapping[int, Iterable[int]] | Sequence[Iterable[int]]
"""Indices to keep by layer: a sequence with one entry a layer, or a mapping that leaves the other
layers whole.
"""


def per_layer(keep: Keep, totals: Sequence[int], noun: str) -> list[list[int]]:
    """`keep` as one ascending list a layer.

    Args:
        keep: Indices to keep by layer, in any order.
        totals: How many there are in each layer.
        noun: What is kept, for the messages: "head", "neuron".

    Raises:
        ValueError: The layers do not match, or indices are absent, repeated or out of range.
    """
    if isinstance(keep, Mapping):
        strangers = sorted(layer for layer in keep if not 0 <= layer < len(totals))
        if strangers:
            raise ValueError(f"layer {strangers[0]}: the model has layers 0 to {len(totals) - 1}")
        entries = [keep.get(layer, range(total)) for layer, total in enumerate(totals)]
    elif len(keep) != len(totals):
        raise ValueError(
            f"{len(keep)} layers of {noun}s to keep for a model of {len(totals)} layers; "
            "give one entry a layer, or a mapping from layer to indices"
        )
    else:
        entries = list(keep)
    return [
        chosen(entry, total, noun, f"layer {layer}: ")
        for layer, (entry, total) in enumerate(zip(entries, totals, strict=True))
    ]


def chosen(keep: Iterable[int], total: int, noun: str, place: str = "") -> list[int]:
    """`keep` in ascending order, checked against `total`.

    Raises:
        ValueError: Nothing is kept, or an index is repeated or out of range.
    """
    indices = sorted(int(index) for index in keep)
    if not indices:
        raise ValueError(f"{place}no {noun} is kept; at least one must stay")
    if indices[0] < 0 or indices[-1] >= total:
        wrong = indices[0] if indices[0] < 0 else indices[-1]
        raise ValueError(
            f"{place}{noun} {wrong} is out of range; there are {noun}s 0 to {total - 1}"
        )
    if len(set(indices)) != len(indices):
        twice = next(a for a, b in pairwise(indices) if a == b)
        raise ValueError(f"{place}{noun} {twice} is given twice")
    return indices
