import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_cases import clustered, naive

from leanformer.retrieve.indexes import exact_scores
from leanformer.retrieve.indexes.exact import exact_search
from leanformer.retrieve.indexes.exact_scores import among, largest, merge, rescore, score_blocks


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 70), st.integers(1, 25))
def test_blocks_of_any_size_give_the_best_rows(rows: int, queries: int, k: int, size: int) -> None:
    vectors, asked = clustered(rows, 7, unit=False), clustered(queries, 7, seed=2)
    blocks = [
        (np.arange(i, min(i + size, rows)), vectors[i : i + size]) for i in range(0, rows, size)
    ]
    scores, found = score_blocks(asked, blocks, k)
    assert scores.shape == found.shape == (queries, k)
    there = min(k, rows)
    assert (found[:, :there] == naive(vectors, asked, k)).all()
    assert (found[:, there:] == -1).all()
    assert np.isneginf(scores[:, there:]).all()


def test_many_queries_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, asked = clustered(200), clustered(30, seed=1)
    whole = exact_search(vectors, asked, 5)[1]
    monkeypatch.setattr(exact_scores, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(exact_scores, "_GATHERED", 4000)
    assert (exact_search(vectors, asked, 5)[1] == whole).all()
    assert (among(asked, np.arange(200), vectors.__getitem__, 5)[1] == whole).all()
    everything = np.tile(np.arange(200), (30, 1))
    assert (rescore(asked, everything, vectors.__getitem__, 5)[1] == whole).all()


def test_equal_scores_are_ordered_by_row_and_missing_candidates_come_last() -> None:
    scores, rows = largest(np.array([[1, 9, 1, 2]], np.float32), np.array([[7, -1, 3, 5]]), 4)
    assert rows.tolist() == [[5, 3, 7, -1]]
    assert scores[0, :3].tolist() == [2, 1, 1]
    assert np.isneginf(scores[0, 3])


def test_rows_that_are_not_allowed_are_not_found() -> None:
    vectors, asked = clustered(50, 5), clustered(4, 5, seed=1)
    allowed = np.zeros(50, bool)
    allowed[[3, 40]] = True
    _, rows = score_blocks(asked, [(np.arange(50), vectors)], 3, allowed)
    assert (np.sort(rows, 1) == [-1, 3, 40]).all()


def test_merged_parts_are_one_search() -> None:
    vectors, asked = clustered(90), clustered(6, seed=1)
    parts = [
        score_blocks(asked, [(np.arange(i, i + 30), vectors[i : i + 30])], 7) for i in (60, 0, 30)
    ]
    assert (merge(parts, 7)[1] == naive(vectors, asked, 7)).all()


def test_rescoring_skips_what_is_no_candidate() -> None:
    vectors, asked = clustered(20), clustered(2, seed=1)
    candidates = np.array([[4, -1, 9], [-1, -1, -1]])
    scores, rows = rescore(asked, candidates, vectors.__getitem__, 2)
    assert sorted(rows[0].tolist()) == [4, 9]
    assert rows[1].tolist() == [-1, -1]
    np.testing.assert_allclose(scores[0], vectors[rows[0]] @ asked[0], rtol=1e-6)
