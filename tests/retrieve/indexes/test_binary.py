import numpy as np
import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import Binary

pytest.importorskip("faiss")


def test_candidates_are_the_nearest_by_the_signs_of_their_coordinates() -> None:
    vectors, queries = clustered(500, 20, shift=1.0), clustered(9, 20, seed=3, shift=1.0)
    built = Binary(rescored=1).build(vectors, threads=1)
    mean = vectors.mean(0)
    signs, asked = vectors > mean, queries > mean
    distance = (signs[None] != asked[:, None]).sum(2)
    _, rows = built.search(queries, 10)
    worst = np.sort(distance, axis=1)[:, 9]
    assert (np.take_along_axis(distance, rows, 1) <= worst[:, None]).all()
    assert built.size_bytes < 500 * 3 + 100
