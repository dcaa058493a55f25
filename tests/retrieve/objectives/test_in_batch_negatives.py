import math
from dataclasses import replace

import pytest
import torch
from retrieve.columns import gradient_is_right, mean, random_columns, theirs
from torch.nn import functional as F

from leanformer.retrieve.objectives import Columns, InBatchNegatives
from leanformer.retrieve.objectives.in_batch_negatives import in_batch_negatives


@pytest.mark.parametrize("negatives", [0, 2])
def test_it_is_sentence_transformers_loss(negatives: int) -> None:
    columns = random_columns(negatives=negatives)
    expected = theirs("MultipleNegativesRankingLoss", columns, scale=13.0)
    assert mean(InBatchNegatives(scale=13), columns) == pytest.approx(expected, rel=1e-12)


def test_the_symmetric_one_too() -> None:
    columns = random_columns()
    expected = theirs("MultipleNegativesSymmetricRankingLoss", columns, scale=20.0)
    assert mean(InBatchNegatives(symmetric=True), columns) == pytest.approx(expected, rel=1e-12)


def naive(columns: Columns, known: dict[int, set[int]], scale: float = 20.0) -> float:
    """One anchor after the other; each different text once, what is known to belong left out."""
    unit = F.normalize(columns.pooled_UD, dim=-1)
    candidates = {int(x) for x in columns.places_BC[:, 1:].flatten() if x >= 0}
    total = 0.0
    for anchor, positive in columns.places_BC[:, :2].tolist():
        left = {positive, *(candidates - known[anchor])}
        scores = {text: scale * float(unit[anchor] @ unit[text]) for text in left}
        total += math.log(sum(map(math.exp, scores.values()))) - scores[positive]
    return total / len(columns.places_BC)


def test_a_text_that_is_there_twice_or_belongs_to_the_anchor_is_no_negative() -> None:
    places = torch.tensor([[0, 5], [1, 6], [0, 7], [2, 6], [6, 2]])  # 6 is anchor and positive
    known = {0: {0, 5, 7}, 1: {1, 6}, 2: {2, 6}, 6: {6, 2}}
    excluded = torch.zeros(5, 10, dtype=torch.bool)
    for row, anchor in enumerate(places[:, 0].tolist()):
        excluded[row, list(known[anchor])] = True
    columns = replace(random_columns(), places_BC=places, excluded_BU=excluded)
    assert mean(InBatchNegatives(), columns) == pytest.approx(naive(columns, known), rel=1e-12)
    back = replace(columns, places_BC=places.flip(1))
    both = {5: {5, 0}, 6: {6, 1, 2}, 7: {7, 0}, 2: {2, 6}}
    symmetric = (naive(columns, known) + naive(back, both)) / 2
    assert mean(InBatchNegatives(symmetric=True), columns) == pytest.approx(symmetric, rel=1e-12)


def test_the_right_one_is_never_excluded() -> None:
    anchors, candidates = torch.randn(2, 3, 4, dtype=torch.float64)
    right, all_ = torch.arange(3), torch.ones(3, 3, dtype=torch.bool)
    assert in_batch_negatives(anchors, candidates, right, all_).item() == 0


def test_gradient() -> None:
    excluded = torch.zeros(5, 15, dtype=torch.bool)
    excluded[0, [5, 6]] = True
    columns = random_columns(negatives=1, excluded_BU=excluded)
    assert gradient_is_right(InBatchNegatives(scale=3, symmetric=True), columns)
