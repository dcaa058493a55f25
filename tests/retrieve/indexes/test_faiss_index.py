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
