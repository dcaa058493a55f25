from dataclasses import replace

import pytest
import torch
from retrieve.columns import gradient_is_right, mean, random_columns, theirs

from leanformer.retrieve.objectives import ListwiseKl
from leanformer.retrieve.objectives.listwise_kl import listwise_kl

SCORES = 5 * torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def test_it_is_sentence_transformers_loss() -> None:
    columns = random_columns(negatives=2, targets=SCORES, normalize=False)
    expected = theirs("DistillKLDivLoss", columns, SCORES)
    assert mean(ListwiseKl(), columns) == pytest.approx(expected, rel=1e-9)


def test_equal_distributions_cost_nothing_and_missing_texts_have_no_share() -> None:
    there = torch.tensor([[True, True, False]]).expand(5, 3)
    assert listwise_kl(SCORES + 3, SCORES, there, 2.0).item() == pytest.approx(0, abs=1e-12)
    short = listwise_kl(SCORES[:, :2], SCORES[:, :2].flip(1), there[:, :2])
    padded = torch.cat([SCORES[:, :2].flip(1), SCORES[:, 2:]], dim=1)
    assert listwise_kl(SCORES, padded, there).item() == pytest.approx(short.item())


def test_the_scale_multiplies_the_students_scores_alone() -> None:
    columns = random_columns(negatives=2, targets=SCORES, normalize=False)
    scaled = replace(columns, pooled_UD=2 * columns.pooled_UD)
    found = mean(ListwiseKl(scale=4), columns)
    assert found == pytest.approx(mean(ListwiseKl(), scaled))


def test_gradient() -> None:
    columns = random_columns(negatives=2, targets=SCORES)
    assert gradient_is_right(ListwiseKl(temperature=2, scale=5), columns)
