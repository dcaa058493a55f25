import numpy as np
import pytest
from index_cases import APPROXIMATE, clustered

from leanformer.retrieve.indexes import Index, Scalar, faiss_index, vector_rows

pytest.importorskip("faiss")


@pytest.mark.parametrize("index", APPROXIMATE, ids=repr)
def test_rows_that_are_added_in_blocks_and_trained_on_a_part_are_found(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_rows, "BLOCK_ROWS", 70)
    monkeypatch.setattr(faiss_index, "_TRAINED", 200)
    vectors = clustered(400)
    rows = index.build(vectors, threads=1).search(vectors[::40], 1)[1]
    assert (rows[:, 0] == np.arange(0, 400, 40)).all()


def test_vectors_may_come_from_elsewhere() -> None:
    vectors = clustered(50)
    asked: list[np.ndarray] = []

    def source(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return vectors[rows]

    built = Scalar().build(vectors, threads=1).with_source(source)
    assert built.search(vectors[3:4], 1)[1].tolist() == [[3]]
    assert len(asked) == 1
    assert len(asked[0]) == 4


@pytest.mark.parametrize("index", APPROXIMATE, ids=repr)
def test_rows_as_long_as_float32_can_square_are_found_and_longer_ones_refused(index: Index) -> None:
    vectors = clustered(200)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = index.build(vectors * np.float32(9e17), threads=1).search(vectors[:3], 1)[1]
    assert found.ravel().tolist() == [0, 1, 2]
    longer = vectors.copy()
    longer[7] *= np.float32(2e18)
    with pytest.raises(ValueError, match="row 7 has length 2e\\+18"):
        index.build(longer, threads=1)
