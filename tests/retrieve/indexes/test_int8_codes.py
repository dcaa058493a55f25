import numpy as np
import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import Int8Codes

pytest.importorskip("faiss")


@pytest.mark.parametrize("width", [48, 52])
def test_candidates_are_the_nearest_by_distances_of_whole_numbers(width: int) -> None:
    """Also where FAISS computes them with integer instructions: there a query beyond the grid
    would wrap around, so queries are made as long as the rows and are clipped."""
    vectors, queries = clustered(800, width), 50 * clustered(30, width, seed=3)
    built = Int8Codes(rescored=1).build(vectors, threads=1)
    mean = vectors.mean(0, dtype=float)
    scale = 127 / abs(vectors - mean).max()
    asked = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    codes = np.rint((vectors - mean) * scale)
    asked = np.clip(np.rint((asked - mean) * scale), -127, 127)
    nearest = ((asked[:, None] - codes[None]) ** 2).sum(2).argsort(1)[:, :10]
    _, rows = built.search(queries, 10)
    shared = [len(set(a) & set(b)) for a, b in zip(rows.tolist(), nearest.tolist(), strict=True)]
    assert np.mean(shared) > 9.8
    assert built.size_bytes == pytest.approx(800 * width, rel=0.01)
