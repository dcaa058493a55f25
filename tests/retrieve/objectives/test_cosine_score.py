import pytest
import torch
from retrieve.columns import gradient_is_right, mean, random_columns, theirs

from leanformer.retrieve.objectives import CosineScore

SCORES = torch.tensor([0.0, 1.0, 0.4, 0.7, 0.2], dtype=torch.float64)


def test_it_is_sentence_transformers_loss() -> None:
    columns = random_columns(targets=SCORES)
    expected = theirs("CosineSimilarityLoss", columns, SCORES)
    assert mean(CosineScore(), columns) == pytest.approx(
        expected, rel=1e-6
    )  # theirs casts scores to fp32


def test_a_cosine_that_is_the_score_costs_nothing() -> None:
    columns = random_columns(1, targets=torch.zeros(1, dtype=torch.float64))
    columns.pooled_UD[:] = 0
    columns.pooled_UD[0, 0] = columns.pooled_UD[1, 1] = 3
    assert mean(CosineScore(), columns) == 0


def test_gradient() -> None:
    assert gradient_is_right(CosineScore(), random_columns(targets=SCORES))
