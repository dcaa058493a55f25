"""What holds for every index: exact scores, recall, filters, edges, threads, files."""

import threading
from pathlib import Path

import numpy as np
import pytest
from index_cases import ALL, APPROXIMATE, clustered, naive

from leanformer.retrieve.indexes import BuiltIndex, Index, Selection, measure_recall, open_index

pytest.importorskip("faiss")
ROWS, K = 1500, 10
KINDS = [(index, unit) for index in ALL for unit in (True, False)]


@pytest.fixture(scope="module")
def built() -> dict[tuple[Index, bool], BuiltIndex]:
    return {
        (index, unit): index.build(clustered(ROWS, unit=unit, shift=0.3), threads=1)
        for index, unit in KINDS
    }


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return clustered(40, unit=False, seed=5, shift=0.3)


def ids(value: object) -> str | None:
    return repr(value) if isinstance(value, Index) else None


each = pytest.mark.parametrize(("index", "unit"), KINDS, ids=ids)


@each
def test_most_of_the_best_rows_are_found_with_exact_scores(built, queries, index, unit) -> None:
    vectors = clustered(ROWS, unit=unit, shift=0.3)
    one = built[index, unit]
    assert measure_recall(one, vectors, queries, K) >= (1.0 if index == ALL[0] else 0.93)
    scores, rows = one.search(queries, K)
    assert scores.dtype == np.float32
    assert rows.dtype == np.int64
    expected = np.einsum("qkd,qd->qk", vectors[rows].astype(float), queries.astype(float))
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()


@each
def test_a_filter_is_kept_to_and_what_is_left_is_found(
    built, queries, index, unit, monkeypatch
) -> None:
    from leanformer.retrieve.indexes import faiss_index

    vectors, one = clustered(ROWS, unit=unit, shift=0.3), built[index, unit]
    rng = np.random.default_rng(1)
    for few, count in ((20_000, 400), (0, 400), (0, 12)):  # all scored; filtered inside of FAISS
        monkeypatch.setattr(faiss_index, "_FEW", few)
        allowed = np.zeros(ROWS, bool)
        allowed[rng.permutation(ROWS)[:count]] = True
        _, rows = one.search(queries, K, allowed=Selection(allowed))
        assert allowed[rows].all()
        true = np.flatnonzero(allowed)[naive(vectors[allowed], queries, K)]
        found = np.mean(
            [len(set(a) & set(b)) for a, b in zip(rows.tolist(), true.tolist(), strict=True)]
        )
        assert found >= (10 if few else 8.5)


@each
def test_more_results_than_rows_are_filled_up(built, queries, index, unit) -> None:
    one = built[index, unit]
    scores, rows = one.search(queries[:3], ROWS + 5)
    assert (np.sort(rows, 1)[:, 5:] == np.arange(ROWS)).all()
    assert (rows[:, ROWS:] == -1).all()
    assert np.isneginf(scores[:, ROWS:]).all()
    allowed = np.zeros(ROWS, bool)
    assert (one.search(queries[:3], 4, allowed=allowed)[1] == -1).all()
    allowed[[5, 9]] = True
    assert (np.sort(one.search(queries[:3], 3, allowed=allowed)[1], 1) == [-1, 5, 9]).all()
    assert one.search(queries[:0], 4)[1].shape == (0, 4)


@each
def test_eight_threads_find_what_one_finds(built, queries, index, unit) -> None:
    one = built[index, unit]
    alone = one.search(queries, K)[1]
    wrong: list[int] = []

    def ask(number: int) -> None:
        for _ in range(5):
            if not (one.search(queries, K)[1] == alone).all():
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@each
def test_a_saved_index_comes_back_with_its_effort(
    built, queries, index, unit, tmp_path: Path
) -> None:
    vectors = clustered(ROWS, unit=unit, shift=0.3)
    one = built[index, unit].with_effort(5)
    one.save(tmp_path / "index")
    again = open_index(tmp_path / "index", None if index == ALL[0] else vectors, threads=1)
    assert again.description == one.description
    assert again.effort == one.effort
    assert (again.rows, again.width, again.size_bytes) == (ROWS, 36, one.size_bytes)
    assert (again.search(queries, K)[1] == one.search(queries, K)[1]).all()


@pytest.mark.parametrize("index", APPROXIMATE, ids=ids)
def test_more_effort_finds_more(built, queries, index) -> None:
    vectors = clustered(ROWS, shift=0.3)
    least, most = built[index, True].efforts
    recalls = [
        measure_recall(built[index, True].with_effort(effort), vectors, queries, K)
        for effort in (least, most)
    ]
    assert recalls[0] <= recalls[1]
    assert recalls[1] >= 0.98


@pytest.mark.parametrize("index", ALL, ids=ids)
def test_duplicates_do_no_harm(index: Index) -> None:
    vectors = np.repeat(clustered(60), 8, axis=0)
    one = index.build(vectors, threads=1)
    assert measure_recall(one, vectors, clustered(20, seed=3), 10) >= 0.95
    _, rows = one.search(vectors[:1], 480)
    assert sorted(rows[0].tolist()) == list(range(480))


@pytest.mark.parametrize("index", ALL, ids=ids)
def test_equal_rows_and_one_row_are_searched(index: Index) -> None:
    for vectors in (np.ones((40, 8), np.float32), np.zeros((40, 8), np.float32)):
        _, rows = index.build(vectors, threads=1).search(np.ones((2, 8)), 40)
        assert (np.sort(rows, 1) == np.arange(40)).all()


@pytest.mark.parametrize("index", ALL, ids=ids)
def test_what_is_no_matrix_of_finite_numbers_is_refused(index: Index) -> None:
    vectors = clustered(50)
    for wrong in (np.nan, np.inf):
        broken = vectors.copy()
        broken[41, 3] = wrong
        with pytest.raises(ValueError, match="vectors: row 41 has NaN or infinite numbers"):
            index.build(broken)
    for shape in ((50,), (5, 0), (2, 3, 4)):
        with pytest.raises(ValueError, match=r"vectors: .*give numbers of shape \[rows, width\]"):
            index.build(np.zeros(shape))
    one = index.build(vectors)
    with pytest.raises(ValueError, match="queries: row 0 has NaN"):
        one.search(np.full((1, 36), np.nan), 3)
    with pytest.raises(ValueError, match="queries: 35 numbers per query; the index was built of"):
        one.search(np.zeros((1, 35)), 3)
    with pytest.raises(ValueError, match="k: 0 is not at least 1"):
        one.search(vectors[:1], 0)
    with pytest.raises(ValueError, match="allowed: "):
        one.search(vectors[:1], 3, allowed=np.ones(49, bool))


@pytest.mark.parametrize("index", ALL, ids=ids)
def test_half_precision_and_odd_strides_are_taken(index: Index) -> None:
    vectors = clustered(64)
    half = index.build(vectors.astype(np.float16))
    assert half.search(vectors[:1].astype(np.float16), 1)[1].tolist() == [[0]]
    turned = index.build(np.asfortranarray(vectors))
    assert turned.search(vectors[:2, :], 1)[1].tolist() == [[0], [1]]


def test_threads_out_of_range_are_refused() -> None:
    for index in ALL:
        with pytest.raises(ValueError, match="threads: -1"):
            index.build(clustered(50), threads=-1)
