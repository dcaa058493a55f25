import math
from typing import Any

import pytest
from index_cases import clustered
from threadpoolctl import threadpool_info, threadpool_limits

from leanformer.core.quantity import Quantity
from leanformer.retrieve.indexes import Advice, Binary, Exact, Hnsw, Index, Ivf, Scalar, advise
from leanformer.retrieve.indexes.advice.advise import Candidate, choose, growth

pytest.importorskip("faiss")
TRIED = (Exact(), Scalar(), Ivf(), Hnsw(links=8, ef_construction=20))


@pytest.fixture(scope="module")
def advice() -> Advice:
    return advise(clustered(4000), candidates=TRIED, sample=2500, rounds=1, threads=1)


def candidate(index: Index, latency: float, **changes: Any) -> Candidate:
    settings: dict[str, Any] = {
        "index": index, "recall": 0.96, "met": True, "latency": Quantity(latency, "s"),
        "throughput": Quantity(1000.0, "texts/s"), "size_bytes": 100, "build_s": 1.0, "growth": 1.0,
    }  # fmt: skip
    return Candidate(**settings | changes)


def test_every_candidate_is_tuned_to_the_target_and_timed(advice: Advice) -> None:
    assert [type(one.index) for one in advice.candidates] == [type(index) for index in TRIED]
    assert advice.sample == 2500
    assert advice.rows == 4000
    for one in advice.candidates:
        assert one.met
        assert one.recall >= 0.95
        assert one.latency.value > 0
        assert one.throughput.value > 0
        assert one.size_bytes > 0
    assert advice.candidates[0].growth == 4000 / 2500
    table = advice.table()
    assert table.count("\n") == 1 + len(TRIED)
    assert table.count("**chosen**") == 1
    assert isinstance(advice.index, Exact)
    assert "fast enough" in advice.reason


def test_the_same_vectors_get_the_same_efforts(advice: Advice) -> None:
    again = advise(clustered(4000), candidates=TRIED, sample=2500, rounds=1, threads=1)
    assert [one.index for one in again.candidates] == [one.index for one in advice.candidates]
    assert [one.recall for one in again.candidates] == [one.recall for one in advice.candidates]


def blas_threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


@pytest.mark.parametrize("threads", [1, 2])
def test_numpy_has_the_threads_that_were_asked_for_and_gets_its_own_back(threads: int) -> None:
    seen: list[set[int]] = []
    with threadpool_limits(3, user_api="blas"):
        advise(
            clustered(2200), candidates=(Exact(),), rounds=1, threads=threads,
            tell=lambda text: seen.append(blas_threads()),
        )  # fmt: skip
        assert blas_threads() == {3}
    assert seen
    assert all(one == {threads} for one in seen)


def test_memory_takes_the_smallest_index_on_given_queries() -> None:
    advice = advise(
        clustered(2200, 64), clustered(30, 64, seed=1), prefer="memory", rounds=1,
        candidates=(Exact(), Scalar(), Binary()), target_recall=0.9, threads=1,
    )  # fmt: skip
    assert isinstance(advice.index, Binary)
    assert "least memory of 3 candidates" in advice.reason
    assert advice.sample == 2200


def test_few_rows_are_searched_exactly_without_any_trial() -> None:
    advice = advise(clustered(1999))
    assert advice.index == Exact()
    assert advice.candidates == ()
    assert "fewer than 2,000 rows" in advice.reason


def test_the_choice_is_by_what_is_preferred_among_those_that_reached_the_target() -> None:
    exact = candidate(Exact(), 0.03, recall=1.0, growth=10.0)
    graph = candidate(Hnsw(), 0.001, size_bytes=300, growth=1.2)
    lists = candidate(Ivf(), 0.0008, throughput=Quantity(9000.0, "texts/s"), growth=3.0)
    missed = candidate(Binary(), 1e-6, met=False, size_bytes=1)
    tried = [exact, graph, lists, missed]
    assert choose(tried, "latency")[0] == Hnsw()
    assert choose(tried, "throughput")[0] == Ivf()
    assert choose(tried, "memory")[0] in (Exact(), Ivf())
    index, reason = choose([missed], "latency")
    assert index == Exact()
    assert "no candidate reached the target" in reason
    fast = candidate(Exact(), 0.004, recall=1.0)
    assert choose([fast, graph], "latency")[0] == Exact()
    assert choose([fast, graph], "latency", fast_enough_s=0)[0] == Hnsw()


def test_times_are_carried_over_by_the_growth_of_each_technique() -> None:
    assert growth(Scalar(), 100, 900) == 9
    assert growth(Ivf(), 100, 900) == 3
    assert growth(Hnsw(), 100, 900) == pytest.approx(math.log(900) / math.log(100))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_recall": 0.0}, "target_recall: 0.0 is not above 0"),
        ({"k": 0}, "k: 0 is not at least 1"),
        ({"sample": 0}, "sample: 0 is not at least 1"),
        ({"seed": -1}, "seed: -1 is not"),
        ({"prefer": "beauty"}, "prefer: 'beauty' is not one of latency, throughput, memory"),
    ],
)
def test_settings_out_of_range_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        advise(clustered(10), **settings)
