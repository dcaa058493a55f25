import numpy as np
import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import Ivf, measure_recall
from leanformer.retrieve.indexes.exact import exact_search
from leanformer.retrieve.indexes.ivf import number_of_lists

faiss = pytest.importorskip("faiss")


@pytest.mark.parametrize(
    ("lists", "rows", "expected"),
    [
        (None, 1, 1),
        (None, 40, 10),
        (None, 10_000, 400),
        (None, 1_000_000, 2048),
        (None, 4_000_000, 4000),
        (7, 100, 7),
        (700, 100, 100),
    ],
)
def test_lists_grow_with_the_root_of_the_rows(lists: int | None, rows: int, expected: int) -> None:
    assert number_of_lists(lists, rows) == expected


def test_all_lists_are_an_exact_search() -> None:
    vectors, queries = clustered(900, unit=False), clustered(20, seed=4)
    built = Ivf(lists=30, nprobe=30, storage="fp32").build(vectors, threads=1)
    scores = queries @ vectors.T
    assert (built.search(queries, 1)[1][:, 0] == scores.argmax(1)).all()


def test_building_twice_gives_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    vectors, queries = clustered(900), clustered(20, seed=4)
    found = [
        Ivf(lists=300, nprobe=2).build(vectors, threads=1).search(queries, 5)[1] for _ in range(2)
    ]
    assert (found[0] == found[1]).all()
    assert "WARNING" not in "".join(capfd.readouterr())


def test_results_beyond_the_probed_lists_are_searched_exactly() -> None:
    vectors, queries = clustered(900), clustered(3, seed=4)
    _, rows = Ivf(lists=300, nprobe=1).build(vectors, threads=1).search(queries, 100)
    assert (
        rows == np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :100]
    ).mean() > 0.99


def test_lists_of_raw_inner_products_find_less_than_ours_where_lengths_differ() -> None:
    vectors, queries = clustered(3000, unit=False), clustered(60, seed=1)
    ours = Ivf(lists=100, nprobe=2).build(vectors, threads=1)
    raw = faiss.IndexIVFFlat(faiss.IndexFlatIP(36), 36, 100, faiss.METRIC_INNER_PRODUCT)
    raw.cp.min_points_per_centroid = 1
    raw.train(vectors)
    raw.add(vectors)
    _, rows = raw.search(queries, 10, params=faiss.SearchParametersIVF(nprobe=2))
    truth = exact_search(vectors, queries, 10)[1]
    theirs = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, truth, strict=True)])
    assert measure_recall(ours, vectors, queries) > theirs + 0.05
