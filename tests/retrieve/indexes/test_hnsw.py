from pathlib import Path

import numpy as np
import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import Hnsw, measure_recall, open_index
from leanformer.retrieve.indexes.exact import exact_search

pytest.importorskip("faiss")


def test_rows_of_very_different_lengths_are_found() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((2000, 24)).astype(np.float32)
    vectors *= rng.uniform(0.1, 3, (2000, 1)).astype(np.float32)
    queries = rng.standard_normal((50, 24)).astype(np.float32)
    built = Hnsw(ef=256).build(vectors, threads=1)
    assert measure_recall(built, vectors, queries) >= 0.95
    scores, _ = built.search(queries, 10)
    np.testing.assert_allclose(scores[:, 0], exact_search(vectors, queries, 1)[0][:, 0], rtol=1e-5)


def test_ef_comes_back_with_the_file_in_another_object(tmp_path: Path) -> None:
    vectors, queries = clustered(3000, 24), clustered(60, 24, seed=1)
    built = Hnsw(ef=200, links=4, ef_construction=20).build(vectors, threads=1)
    built.save(tmp_path / "graph")
    again = open_index(tmp_path / "graph", vectors, threads=1)
    assert again.effort == 200
    assert measure_recall(again, vectors, queries) == measure_recall(built, vectors, queries)
    least = measure_recall(built.with_effort(1), vectors, queries)
    assert least < measure_recall(again, vectors, queries)


def test_a_strict_filter_finds_all_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from leanformer.retrieve.indexes import faiss_index

    monkeypatch.setattr(faiss_index, "_FEW", 0)
    vectors = clustered(3000, 24)
    built = Hnsw(ef=8).build(vectors, threads=1)
    allowed = np.zeros(3000, bool)
    allowed[[7, 1500, 2999]] = True
    _, rows = built.search(clustered(9, 24, seed=2), 3, allowed=allowed)
    assert (np.sort(rows, 1) == [7, 1500, 2999]).all()


def test_candidates_are_as_many_as_are_in_view() -> None:
    assert Hnsw().proposed(10, 64) == 20
    assert Hnsw().proposed(10, 15) == 15
    assert Hnsw().proposed(10, 4) == 10
    assert Hnsw().efforts(50) == (1, 50)
