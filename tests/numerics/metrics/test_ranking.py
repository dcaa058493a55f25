import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from leanformer.numerics.metrics import Ndcg, Recall, ReciprocalRank
from leanformer.numerics.metrics.ranking import RankingMetric
from leanformer.numerics.paired_bootstrap import paired_bootstrap

METRICS: list[RankingMetric] = [Ndcg(), ReciprocalRank(), Recall(2)]
TEXT = st.tuples(st.integers(-3, 3), st.integers(0, 3))  # score and grade; ties are common
QUERY = st.lists(TEXT, min_size=2, max_size=14)


def one(texts: list[tuple[int, int]], query: str = "q") -> tuple[list, list]:  # type: ignore[type-arg]
    return [(query, float(score)) for score, _ in texts], [(query, float(g)) for _, g in texts]


@given(QUERY, st.sampled_from([1, 3, 10]))
def test_ndcg_is_scikit_learns_ties_included(texts: list[tuple[int, int]], k: int) -> None:
    scores, grades = zip(*texts, strict=True)
    expected = ndcg_score([grades], [scores], k=k) if any(grades) else 0
    assert Ndcg(k).score(*one(texts)) == pytest.approx(expected)


@given(st.lists(TEXT, min_size=1, max_size=5), st.sampled_from([1, 2, 10]))
def test_the_reciprocal_rank_is_the_mean_over_the_orders_of_equal_scores(
    texts: list[tuple[int, int]], k: int
) -> None:
    values = []
    for order in itertools.permutations(texts):
        if [score for score, _ in order] == sorted((score for score, _ in texts), reverse=True):
            first = next((r for r, (_, grade) in enumerate(order, 1) if grade > 0), math.inf)
            values.append(1 / first if first <= k else 0)
    assert ReciprocalRank(k).score(*one(texts)) == pytest.approx(np.mean(values))


@given(st.lists(TEXT, min_size=1, max_size=5), st.sampled_from([1, 2, 10]))
def test_recall_is_the_mean_over_the_orders_of_equal_scores(
    texts: list[tuple[int, int]], k: int
) -> None:
    relevant = sum(grade > 0 for _, grade in texts)
    values = [
        sum(grade > 0 for _, grade in order[:k]) / max(1, relevant)
        for order in itertools.permutations(texts)
        if [score for score, _ in order] == sorted((score for score, _ in texts), reverse=True)
    ]
    assert Recall(k).score(*one(texts)) == pytest.approx(np.mean(values))


def test_values_that_were_computed_by_hand() -> None:
    predicted = [("a", 3.0), ("b", 0.1), ("a", 2.0), ("a", 1.0), ("b", 0.2), ("c", 1.0)]
    gold = [("a", 0.0), ("b", 1.0), ("a", 1.0), ("a", 0.0), ("b", 0.0), ("c", 0.0)]
    assert ReciprocalRank().score(predicted, gold) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert Ndcg().score(predicted, gold) == pytest.approx(1 / math.log2(3))
    assert ReciprocalRank(1).score(predicted, gold) == 0
    assert Recall(1).score(predicted, gold) == 0
    assert (Recall(2).score(predicted, gold), Recall().name) == (1, "recall@10")
    assert (Ndcg().name, ReciprocalRank().name) == ("ndcg@10", "mrr@10")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@given(st.lists(QUERY, min_size=1, max_size=4), st.floats(0.1, 10))
def test_a_row_is_a_query_and_neither_order_nor_scale_of_grades_matters(
    metric: RankingMetric, queries: list[list[tuple[int, int]]], factor: float
) -> None:
    rows = [
        (f"ü{number}", float(score), float(grade))
        for number, texts in enumerate(queries)
        for score, grade in texts
    ]
    predicted, gold = ([(row[0], row[side]) for row in rows] for side in (1, 2))
    found = metric.statistics(predicted, gold)
    assert found.shape == (len(queries), 2)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    scaled = [(query, grade * factor) for query, grade in gold[::-1]]
    assert metric.score(predicted[::-1], scaled) == pytest.approx(metric.score(predicted, gold))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_best_order_is_perfect_and_a_query_without_relevant_text_is_left_out(
    metric: RankingMetric,
) -> None:
    gold = [("a", 2.0), ("a", 1.0), ("b", 0.0), ("b", 0.0), ("c", 1.0)]
    assert metric.score(gold, gold) == 1
    assert metric.statistics(gold, gold).tolist() == [[1, 1], [0, 0], [1, 1]]
    nothing = [("b", 0.0)]
    assert metric.score(nothing, nothing) == 0
    assert metric.unit == "query"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_promise_is_drawn_from_queries(metric: RankingMetric) -> None:
    rng = np.random.default_rng(0)
    gold = [(f"q{number}", float(rng.random() < 0.3)) for number in range(60) for _ in range(6)]
    teacher, student = (
        [(query, grade + noise * rng.normal()) for query, grade in gold] for noise in (0.3, 0.8)
    )
    statistics = [metric.statistics(said, gold) for said in (teacher, student)]
    assert len(statistics[0]) == 60
    drawn = paired_bootstrap(metric, *statistics, resamples=200)
    assert drawn.lower(0.9) < drawn.kept < 1
    assert len(drawn.influence_N) == 60
