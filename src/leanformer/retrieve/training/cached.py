"""Cached gradients (GradCache): a large batch of texts is encoded in parts, exactly.

    forward     encode each part without keeping what its backward pass needs
    loss        of all vectors together; its gradient with respect to them is what is cached
    backward    encode each part again, with the same dropout, and go on from its cached gradient

An objective that compares all texts of a batch needs all vectors at once, but not the activations
of all texts: these are held for one part at a time. Each text is encoded twice, and the gradient is
that of the whole batch. This is what `torch.utils.checkpoint` does with each part: it keeps the
inputs, restores the state of the random generators and of autocast, and recomputes part by part,
because autograd finishes the part that was encoded last before it begins with the one before.
(Gao et al. 2021, arXiv:2101.06983)

Legend: U text, T token, D width.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from leanformer.models.embedding import embedding_of
from leanformer.models.packed import model_inputs
from leanformer.numerics.pooling import pool


def pooled_vectors(model: Any, inputs: dict[str, Tensor], max_tokens: int) -> Tensor:
    """The vector of each text, pooled as the model's description says and not normalized, [U, D].

    Args:
        model: A transformers model without a head.
        inputs: Token ids and mask, padded on the right, in the order of their lengths.
        max_tokens: Padded tokens that pass through the model at once. More texts are encoded in
            parts, and twice.
    """
    parts = list(_parts(inputs, max_tokens))
    if len(parts) == 1:
        return _pooled(model, parts[0])
    if not torch.is_grad_enabled():
        return torch.cat([_pooled(model, part) for part in parts])
    found: list[Tensor] = [
        checkpoint(_pooled, model, part, use_reentrant=False, preserve_rng_state=True)
        for part in parts
    ]
    return torch.cat(found)


def _pooled(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    hidden_UTD = model(**model_inputs(inputs, model)).last_hidden_state
    pooling = replace(embedding_of(model).pooling, normalize=False)
    return pool(hidden_UTD, inputs["attention_mask"], pooling)


def _parts(inputs: dict[str, Tensor], max_tokens: int) -> Iterator[dict[str, Tensor]]:
    """Rows of at most `max_tokens` padded tokens, one at least, without needless padding."""
    lengths = inputs["attention_mask"].sum(1).tolist()
    start, longest = 0, 0
    for row, length in enumerate(lengths):
        wider = max(longest, length)
        if row > start and wider * (row + 1 - start) > max_tokens:
            yield _cut(inputs, start, row, longest)
            start, wider = row, length
        longest = wider
    yield _cut(inputs, start, len(lengths), longest)


def _cut(inputs: dict[str, Tensor], start: int, end: int, width: int) -> dict[str, Tensor]:
    return {name: tensor[start:end, :width] for name, tensor in inputs.items()}
