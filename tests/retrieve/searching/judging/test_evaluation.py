import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.numerics.metrics import Ndcg, Recall, ReciprocalRank
from leanformer.retrieve.searching.judging.evaluation import quality, statistics

DOCUMENTS = list("abcdefghijkl")
RUN = st.lists(st.sampled_from(DOCUMENTS), unique=True)
GRADES = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-1, 3), min_size=1)


def naive(ranked: list[str], grades: dict[str, int], k: int) -> tuple[float, float, float] | None:
    """nDCG, reciprocal rank and recall, from their definitions; None of a query without answer."""
    gains = [max(0, grades.get(one, 0)) for one in ranked]
    ideal = sorted((max(0, grade) for grade in grades.values()), reverse=True)
    if not any(ideal):
        return None

    def dcg(values: list[int]) -> float:
        return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(values[:k], 1))

    first = next((rank for rank, gain in enumerate(gains[:k], 1) if gain), math.inf)
    relevant = {one for one, grade in grades.items() if grade > 0}
    return (
        dcg(gains) / dcg(ideal),
        1 / first,
        len(relevant & set(ranked[:k])) / len(relevant),
    )


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(RUN, GRADES), min_size=1, max_size=5), st.sampled_from([1, 3, 10]))
def test_qualities_are_those_of_their_definitions(
    queries: list[tuple[list[str], dict[str, int]]], k: int
) -> None:
    run = {f"q{i}": [(one, -float(j)) for j, one in enumerate(ranked)]
           for i, (ranked, _) in enumerate(queries)}  # fmt: skip
    judgments = {f"q{i}": grades for i, (_, grades) in enumerate(queries)}
    found = [naive(*query, k) for query in queries]
    judged = [one for one in found if one is not None]
    for place, metric in enumerate([Ndcg(k), ReciprocalRank(k), Recall(k)]):
        expected = sum(one[place] for one in judged) / len(judged) if judged else 0
        assert quality(metric, run, judgments) == pytest.approx(expected)  # type: ignore[arg-type]
        rows = statistics(metric, run, judgments)  # type: ignore[arg-type]
        assert rows[:, 1].tolist() == [float(one is not None) for one in found]


def test_a_query_that_a_run_lacks_counts_as_answered_by_nothing() -> None:
    judgments = {"q1": {"a": 1.0}, "q2": {"b": 1.0}}
    run = {"q1": [("a", 1.0)], "q3": [("a", 1.0)]}
    assert quality(Ndcg(10), run, judgments) == 0.5
    assert quality(Recall(10), {}, judgments) == 0
