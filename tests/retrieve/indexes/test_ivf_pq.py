import numpy as np
import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import IvfPq, measure_recall
from leanformer.retrieve.indexes.exact import exact_search

faiss = pytest.importorskip("faiss")


def test_rows_with_a_large_common_part_are_found_because_they_are_centred() -> None:
    """Inner products of such rows hardly differ: raw ones are lost in the codes."""
    vectors, queries = clustered(3000, 32, shift=6.0), clustered(40, 32, seed=3, shift=6.0)
    ours = IvfPq(lists=20, nprobe=20, rescored=4).build(vectors, threads=1)
    quantizer = faiss.IndexFlatIP(32)
    raw = faiss.IndexIVFPQFastScan(quantizer, 32, 20, 8, 4, faiss.METRIC_INNER_PRODUCT)
    raw.train(vectors)
    raw.add(vectors)
    _, rows = raw.search(queries, 40, params=faiss.SearchParametersIVF(nprobe=20))
    truth = exact_search(vectors, queries, 10)[1]
    theirs = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, truth, strict=True)])
    assert measure_recall(ours, vectors, queries) > max(2 * theirs, 0.8)


def test_the_codes_are_as_small_as_they_say() -> None:
    vectors = clustered(4000, 32)
    sizes = [
        IvfPq(group=group, lists=10).build(vectors, threads=1).size_bytes for group in (1, 2, 4)
    ]
    assert sizes[0] - sizes[1] > 4000 * 7
    assert sizes[1] - sizes[2] > 4000 * 3


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match="group: 3 does not divide the width; set it to 1, 2 or 4"):
        IvfPq(group=3)
    with pytest.raises(ValueError, match="15 rows; IvfPq needs at least 16"):
        IvfPq().build(clustered(15))
