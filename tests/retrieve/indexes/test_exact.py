import subprocess
import sys
from pathlib import Path

import numpy as np
from index_cases import clustered, naive

from leanformer.retrieve.indexes import Exact, exact_search, open_index


def test_it_is_the_naive_search() -> None:
    vectors, queries = clustered(203, 13, unit=False), clustered(7, 13, seed=1)
    scores, rows = exact_search(vectors, queries, 9)
    assert (rows == naive(vectors, queries, 9)).all()
    np.testing.assert_allclose(scores, np.take_along_axis(queries @ vectors.T, rows, 1), rtol=1e-6)


def test_a_wide_filter_is_scored_in_place_and_a_narrow_one_is_gathered() -> None:
    vectors, queries = clustered(200), clustered(5, seed=1)
    built = Exact().build(vectors)
    for step in (2, 30):
        allowed = np.zeros(200, bool)
        allowed[::step] = True
        assert (
            built.search(queries, 4, allowed=allowed)[1]
            == step * naive(vectors[::step], queries, 4)
        ).all()


def test_it_says_its_size_and_has_one_effort(tmp_path: Path) -> None:
    built = Exact().build(clustered(10, 6))
    assert built.size_bytes == 10 * 6 * 4
    assert built.efforts == (1, 1)
    assert built.with_effort(9) is built
    empty = Exact().build(np.zeros((0, 6)))
    assert empty.search(np.ones((2, 6)), 3)[1].tolist() == [[-1] * 3] * 2
    empty.save(tmp_path / "empty")
    assert open_index(tmp_path / "empty").rows == 0


def test_it_works_without_faiss() -> None:
    code = (
        "import sys; sys.modules['faiss'] = None\n"
        "import numpy as np\n"
        "from leanformer.retrieve.indexes import Exact, Hnsw\n"
        "x = np.eye(4, dtype=np.float32)\n"
        "assert Exact().build(x).search(x, 1)[1].ravel().tolist() == [0, 1, 2, 3]\n"
        "assert 'torch' not in sys.modules\n"
        "try:\n    Hnsw().build(x)\n"
        "except ImportError as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pip install 'leanformer[retrieve]'; Exact() works without it" in ran.stdout
