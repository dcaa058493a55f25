from dataclasses import replace

import pytest
import torch
from retrieve.columns import gradient_is_right, mean, random_columns, theirs

from leanformer.retrieve.objectives import MarginMse

SCORES = 5 * torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def test_it_is_sentence_transformers_loss() -> None:
    columns = random_columns(negatives=2, targets=SCORES, normalize=False)
    expected = theirs("MarginMSELoss", columns, SCORES)
    assert mean(MarginMse(), columns) == pytest.approx(expected, rel=1e-12)


def test_only_margins_count_and_missing_negatives_do_not() -> None:
    columns = random_columns(negatives=2, targets=SCORES)
    moved = replace(columns, targets=SCORES + 100)
    assert mean(MarginMse(scale=9), moved) == pytest.approx(mean(MarginMse(scale=9), columns))
    places = columns.places_BC.clone()
    places[:, 3] = -1
    less = replace(columns, places_BC=places)
    other = less.targets.clone()
    other[:, 2] = 77
    assert mean(MarginMse(), replace(less, targets=other)) == mean(MarginMse(), less)


def test_gradient() -> None:
    assert gradient_is_right(MarginMse(), random_columns(negatives=2, targets=SCORES))
