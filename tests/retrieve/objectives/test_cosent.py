import math

import pytest
import torch
from retrieve.columns import gradient_is_right, mean, random_columns, theirs
from torch.nn import functional as F

from leanformer.retrieve.objectives import Cosent

SCORES = torch.tensor([0.0, 5.0, 2.0, 2.0, 4.0], dtype=torch.float64)


def test_it_is_the_equation_and_sentence_transformers_loss() -> None:
    columns = random_columns(targets=SCORES)
    cosine = F.cosine_similarity(columns.pooled_UD[:5], columns.pooled_UD[5:]).tolist()
    order = [(i, j) for i in range(5) for j in range(5) if SCORES[i] > SCORES[j]]
    expected = math.log(1 + sum(math.exp(20 * (cosine[j] - cosine[i])) for i, j in order))
    assert mean(Cosent(), columns) == pytest.approx(expected, rel=1e-12)
    assert mean(Cosent(scale=7), columns) == pytest.approx(
        theirs("CoSENTLoss", columns, SCORES, scale=7.0), rel=1e-9
    )


def test_only_the_order_of_the_scores_counts() -> None:
    first = mean(Cosent(), random_columns(targets=SCORES))
    assert mean(Cosent(), random_columns(targets=SCORES**3 - 8)) == first
    assert mean(Cosent(), random_columns(targets=torch.ones(5))) == 0


def test_gradient() -> None:
    assert gradient_is_right(Cosent(), random_columns(targets=SCORES))
