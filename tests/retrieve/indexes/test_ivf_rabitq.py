import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import IvfRabitq, measure_recall

pytest.importorskip("faiss")


def test_one_bit_per_coordinate_finds_most_with_a_few_candidates() -> None:
    vectors, queries = clustered(3000, 96, shift=3.0), clustered(40, 96, seed=3, shift=3.0)
    built = IvfRabitq(lists=10, nprobe=10).build(vectors, threads=1)
    assert measure_recall(built, vectors, queries) > 0.95
    assert built.size_bytes < vectors.nbytes / 5
