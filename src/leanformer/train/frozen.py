"""Embeddings left as they are for a while.

Most weights of a small model are its word embeddings, and a batch reads few of them; the optimizer
moves them all. Where a training changes other weights (movement pruning's paper trains none of the
embeddings), a step without them costs less.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen_embeddings(model: nn.Module) -> Iterator[None]:
    """Within it, no embedding of `model` has a gradient, and neither has a head tied to one."""
    # an embedding that rounds is one too, and is told by its rows as nn.Embedding is
    tables = [module.weight for module in model.modules() if hasattr(module, "num_embeddings")]
    trained = [weight for weight in tables if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)
