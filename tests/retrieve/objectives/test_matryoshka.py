from dataclasses import replace

import pytest
import torch
from retrieve.columns import gradient_is_right, mean, random_columns, theirs

from leanformer.retrieve.objectives import (
    InBatchNegatives,
    MarginMse,
    Matryoshka,
    PairClassification,
)


def test_it_is_the_sum_of_the_objective_on_each_prefix() -> None:
    columns = random_columns(negatives=1)
    expected = [
        weight
        * theirs(
            "MultipleNegativesRankingLoss", replace(columns, pooled_UD=columns.pooled_UD[:, :width])
        )
        for width, weight in ((7, 1.0), (4, 0.5), (2, 2.0))
    ]
    found = mean(Matryoshka(widths=(4, 2), weights=(0.5, 2.0)), columns)
    assert found == pytest.approx(sum(expected), rel=1e-12)


def test_a_prefix_has_length_one_as_the_whole_has() -> None:
    columns = random_columns().prefix(3)
    lengths = columns.vectors_UD.norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_each_prefix_has_parameters_of_its_own() -> None:
    module = Matryoshka(objective=PairClassification(), widths=(4,)).build(7, 3)
    assert [tuple(p.shape) for p in module.parameters()] == [(3, 21), (3, 12)]
    assert Matryoshka(objective=MarginMse()).described == MarginMse()


def test_gradient() -> None:
    assert gradient_is_right(Matryoshka(widths=(3,)), random_columns(negatives=1))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"widths\[1\]: 7 is not below 7"):
        Matryoshka(widths=(3, 7)).build(7, 0)
    with pytest.raises(ValueError, match="widths: none is named"):
        Matryoshka(widths=())
    with pytest.raises(ValueError, match="weights: 1 for 2 widths"):
        Matryoshka(widths=(3, 4), weights=(1.0,))
    with pytest.raises(ValueError, match=r"widths: \[4, 4\] names one twice"):
        Matryoshka(widths=(4, 4))
    with pytest.raises(ValueError, match="matryoshka in matryoshka"):
        Matryoshka(objective=Matryoshka(objective=InBatchNegatives()))
