import math

import pytest
import torch
from retrieve.columns import gradient_is_right, random_columns

from leanformer.retrieve.objectives import PairClassification
from leanformer.retrieve.objectives.pair_classification import pair_classification, pair_features

CLASSES = torch.tensor([0, 2, 1, 1, 0])


def test_the_loss_is_the_papers_equation() -> None:
    columns = random_columns(targets=CLASSES)
    u, v = columns.pooled_UD[:5], columns.pooled_UD[5:]
    weight = torch.randn(3, 21, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    total = 0.0
    for row, right in enumerate(CLASSES.tolist()):
        features = [*u[row], *v[row], *(abs(a - b) for a, b in zip(u[row], v[row], strict=True))]
        logits = [sum(float(w * x) for w, x in zip(line, features, strict=True)) for line in weight]
        total += math.log(sum(map(math.exp, logits))) - logits[right]
    found = pair_classification(u, v, weight, CLASSES)
    assert found.item() == pytest.approx(total / 5, rel=1e-12)
    module = PairClassification().build(7, 3).double()
    module.linear.weight.data = weight
    assert module(columns).item() == pytest.approx(total, rel=1e-12)


def test_the_difference_has_no_sign() -> None:
    u, v = torch.randn(2, 4, 7)
    assert torch.equal(pair_features(u, v)[:, 14:], pair_features(v, u)[:, 14:])


def test_gradient() -> None:
    assert gradient_is_right(PairClassification(), random_columns(targets=CLASSES))


def test_w_begins_small() -> None:
    torch.manual_seed(0)
    columns = random_columns(targets=CLASSES)
    module = PairClassification().build(7, 3).double()
    assert module(columns).item() / 5 == pytest.approx(math.log(3), abs=0.8)
