import numpy as np
import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import Exact, Ivf, measure_recall
from leanformer.retrieve.indexes.advice import true_answers

pytest.importorskip("faiss")


def test_it_is_the_share_of_the_best_rows_that_is_found() -> None:
    vectors, queries = clustered(800), clustered(30, seed=1)
    built = Ivf(lists=50, nprobe=1).build(vectors, threads=1)
    rows = built.search(queries, 10)[1]
    true = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    naive = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, true, strict=True)])
    assert measure_recall(built, vectors, queries) == pytest.approx(naive)
    assert 0.2 < naive < 1


def test_equal_rows_are_as_right_as_each_other() -> None:
    vectors = np.repeat(clustered(10), 20, axis=0)
    turned = Exact().build(vectors[::-1].copy())  # other row numbers among equals
    assert measure_recall(turned, vectors, clustered(5, seed=1)) == 1.0


def test_a_query_that_is_a_row_does_not_count_as_found() -> None:
    vectors = clustered(300)
    own = np.array([4, 200, 17])
    truth = true_answers(vectors, vectors[own], 3, own_Q=own)
    assert truth.recall(Exact().build(vectors)) == 1.0
    nothing_else = vectors.copy()
    nothing_else[np.setdiff1d(np.arange(300), own)] *= -1
    assert truth.recall(Exact().build(nothing_else)) == 0.0


def test_more_results_than_rows_are_not_missed() -> None:
    vectors = clustered(6)
    assert measure_recall(Exact().build(vectors), vectors, clustered(2, seed=1), 50) == 1.0
    own = np.array([0])
    assert true_answers(vectors, vectors[own], 6, own_Q=own).recall(Exact().build(vectors)) == 1.0


def test_what_cannot_be_measured_is_refused() -> None:
    vectors = clustered(6)
    with pytest.raises(ValueError, match="vectors: 6 rows, and the index has 5"):
        measure_recall(Exact().build(vectors[:5]), vectors, vectors)
    with pytest.raises(ValueError, match="recall of 0 queries among 6 rows"):
        true_answers(vectors, vectors[:0])
    with pytest.raises(ValueError, match="recall of 1 queries among 1 rows"):
        true_answers(vectors[:1], vectors[:1], own_Q=np.array([0]))
