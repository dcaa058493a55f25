from dataclasses import replace

import pytest
import torch
from retrieve.columns import gradient_is_right, mean, random_columns, theirs

from leanformer.retrieve.objectives import Triplet


def test_it_is_sentence_transformers_loss_in_euclids_distance() -> None:
    columns = random_columns(negatives=1, normalize=False)
    expected = theirs("TripletLoss", columns, triplet_margin=1.0)
    assert mean(Triplet(), columns) == pytest.approx(expected, rel=1e-5)  # theirs adds 1e-6 inside


def test_several_negatives_count_as_one_and_a_missing_one_not_at_all() -> None:
    columns = random_columns(negatives=2, normalize=False)
    each = [
        mean(Triplet(), replace(columns, places_BC=columns.places_BC[:, [0, 1, k]])) for k in (2, 3)
    ]
    assert mean(Triplet(), columns) == pytest.approx(sum(each) / 2)
    places = columns.places_BC.clone()
    places[:, 3] = -1
    assert mean(Triplet(), replace(columns, places_BC=places)) == pytest.approx(each[0])


def test_vectors_are_compared_as_they_are_served() -> None:
    columns = random_columns(negatives=1)
    longer = replace(columns, pooled_UD=3 * columns.pooled_UD)
    assert mean(Triplet(), longer) == pytest.approx(mean(Triplet(), columns))


def test_gradient_also_where_two_vectors_are_one() -> None:
    columns = random_columns(negatives=1, normalize=False)
    assert gradient_is_right(Triplet(margin=9), columns)
    same = replace(columns, pooled_UD=torch.ones(15, 7, dtype=torch.float64).requires_grad_())
    Triplet().build(7, 0)(same).backward()
    assert same.pooled_UD.grad.isfinite().all()
