from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr

from leanformer.numerics.metrics import Metric, Pearson, Spearman

PAIRS = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=30)
BOTH = pytest.mark.parametrize("metric", [Pearson(), Spearman()], ids=lambda metric: metric.name)


@given(PAIRS, st.sampled_from([1.0, 1e-9, 1e9]), st.sampled_from([0.0, 1e6]))
def test_correlations_equal_scipy(pairs: Any, scale: float, shift: float) -> None:
    ours, gold = (np.array(side) * 1.0 for side in zip(*pairs, strict=True))
    moved = (ours + shift) * scale
    if len(set(ours)) == 1 or len(set(gold)) == 1:
        assert Pearson().score(moved, gold) == Spearman().score(moved, gold) == 0
        return
    assert Pearson().score(moved, gold) == pytest.approx(pearsonr(ours, gold)[0], abs=1e-7)
    assert Spearman().score(moved, gold) == pytest.approx(spearmanr(ours, gold)[0], abs=1e-9)


@BOTH
def test_nothing_and_constants_have_no_correlation(metric: Metric) -> None:
    assert metric.score([], []) == 0
    assert metric.score([0.1, 0.1, 0.1], [1.0, 2.0, 3.0]) == 0
    assert np.isnan(metric.score([np.nan, 1.0, 2.0], [1.0, 2.0, 3.0]))  # is not hidden


@given(PAIRS, st.integers(0, 99))
def test_pearson_under_weights_is_that_of_copies(pairs: Any, seed: int) -> None:
    ours, gold = (np.array(side) * 1.0 for side in zip(*pairs, strict=True))
    copies = np.random.default_rng(seed).integers(0, 4, len(ours))
    copies[0] += 1
    value = Pearson().value(copies @ Pearson().statistics(ours, gold))
    whole = Pearson().score(np.repeat(ours, copies), np.repeat(gold, copies))
    assert value == pytest.approx(whole, abs=1e-9)


@BOTH
def test_influence_of_an_example_is_the_derivative_of_the_quality(metric: Metric) -> None:
    """A little more weight for one example moves the quality as much as many copies of all others,
    and of this one more, move the true one: ranks are taken anew there."""
    rng = np.random.default_rng(0)
    gold = np.round(rng.normal(size=23), 1)  # with ties
    ours = gold + rng.normal(size=23)
    rows, size = metric.statistics(ours, gold), 4000
    for index in (0, 7, 22):
        copies = np.full(23, size)
        copies[index] += size // 100
        true = metric.score(np.repeat(ours, copies), np.repeat(gold, copies))
        whole = metric.score(ours, gold)
        ratio = (float(metric.value(copies @ rows)) - whole) / (true - whole)
        assert ratio == pytest.approx(1, abs=0.02)


def spreads(size: int, seed: int) -> tuple[float, float, float]:
    """Spread of the share that a student keeps: ranked anew, by influence, with fixed ranks."""
    rng = np.random.default_rng(seed)
    gold = np.round(2 * rng.normal(size=size)) / 2
    systems = [gold + 0.7 * rng.normal(size=size)]
    systems.append(systems[0] + 0.35 * rng.normal(size=size))
    draws = rng.integers(0, size, (1000, size))
    weights = np.array([np.bincount(draw, minlength=size) for draw in draws])
    anew = [[_ranked(x[draw], gold[draw]) for draw in draws] for x in systems]
    near = [Spearman().value(weights @ Spearman().statistics(x, gold)) for x in systems]
    fixed = [
        Pearson().value(weights @ Pearson().statistics(rankdata(x), rankdata(gold)))
        for x in systems
    ]
    found = [np.divide(student, teacher) for teacher, student in (anew, near, fixed)]
    errors = [float(np.sqrt(np.mean((other - found[0]) ** 2))) for other in found[1:]]
    return float(np.std(found[0])), *errors


def _ranked(x: Any, y: Any) -> float:
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_spearman_by_influence_is_nearer_to_an_exact_bootstrap_than_fixed_ranks(seed: int) -> None:
    spread, near, fixed = spreads(500, seed)
    assert near < fixed
    assert near < 0.25 * spread


@BOTH
@given(pairs=PAIRS, seed=st.integers(0, 99))
def test_exchanged_examples_join_one_answer_and_another_gold(
    metric: Metric, pairs: Any, seed: int
) -> None:
    ours, gold = (np.array(side) * 1.0 for side in zip(*pairs, strict=True))
    rows = metric.statistics(ours, gold)
    golds, answers = np.random.default_rng(seed).integers(0, len(gold), (2, 9))
    made = metric.exchanged(rows[golds], rows[answers])
    own = metric.exchanged(rows, rows)
    np.testing.assert_allclose(own, rows, atol=1e-12)
    if isinstance(metric, Pearson):
        x, y = rows[answers, 1], rows[golds, 2]
        np.testing.assert_allclose(made, np.stack([x * 0 + 1, x, y, x * x, y * y, x * y], 1))
    else:  # an example that is there already: the same answer and the same gold
        for place, (i, j) in enumerate(zip(golds, answers, strict=True)):
            twin = np.flatnonzero((ours == ours[j]) & (gold == gold[i]))
            for index in twin[:1]:
                np.testing.assert_allclose(made[place], rows[index], atol=1e-12)
