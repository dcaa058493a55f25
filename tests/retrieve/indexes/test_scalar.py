import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import Scalar, measure_recall

pytest.importorskip("faiss")


@pytest.mark.parametrize("bits", [8, 6, 4])
def test_codes_take_their_bits_and_candidates_make_up_for_them(bits: int) -> None:
    vectors, queries = clustered(2000, 64), clustered(40, 64, seed=3)
    built = Scalar(bits=bits).build(vectors, threads=1)
    assert built.size_bytes == pytest.approx(2000 * 64 * bits / 8, rel=0.03)
    assert measure_recall(built, vectors, queries) > 0.97
    assert measure_recall(built.with_effort(1), vectors, queries) <= measure_recall(
        built, vectors, queries
    )
