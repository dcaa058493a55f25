"""Vectors of a batch of tuples, and sentence-transformers' losses on them."""

from typing import Any

import torch
from sentence_transformers.sentence_transformer import losses
from torch import Tensor, nn

from leanformer.retrieve.objectives import Columns, VectorObjective


def random_columns(tuples: int = 5, width: int = 7, negatives: int = 0, **known: Any) -> Columns:
    """Tuples of different texts, in float64."""
    generator = torch.Generator().manual_seed(0)
    texts = tuples * (2 + negatives)
    pooled = torch.randn(texts, width, dtype=torch.float64, generator=generator)
    places = torch.arange(texts).view(2 + negatives, tuples).T
    return Columns(pooled, places, **known)


def embeddings(columns: Columns, *, normalize: bool = False) -> list[Tensor]:
    """The vectors column by column, as sentence-transformers has them."""
    vectors = columns.vectors_UD if normalize else columns.pooled_UD
    return [vectors[places] for places in columns.places_BC.T]


def theirs(name: str, columns: Columns, labels: Any = None, **settings: Any) -> float:
    """The loss of sentence-transformers' class of this name."""
    loss = getattr(losses, name)(nn.Identity(), **settings)
    return float(loss.compute_loss_from_embeddings(embeddings(columns), labels))


def mean(objective: VectorObjective, columns: Columns) -> float:
    """What the loop makes of an objective: the mean over tuples."""
    return float(objective.build(columns.pooled_UD.shape[1], 3)(columns)) / len(columns.places_BC)


def gradient_is_right(objective: VectorObjective, columns: Columns) -> bool:
    """Whether the gradient with respect to the vectors agrees with differences."""
    from dataclasses import replace

    torch.manual_seed(0)
    module = objective.build(columns.pooled_UD.shape[1], 3).double()

    def of(pooled: Tensor) -> Tensor:
        found: Tensor = module(replace(columns, pooled_UD=pooled))
        return found

    return torch.autograd.gradcheck(of, (columns.pooled_UD.clone().requires_grad_(),))
