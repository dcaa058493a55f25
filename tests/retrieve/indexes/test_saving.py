import json
from pathlib import Path

import numpy as np
import pytest
from index_cases import clustered

from leanformer.core.storage.parts import LIST, list_parts
from leanformer.retrieve.indexes import Exact, Ivf, open_index
from leanformer.retrieve.indexes.saving import ABOUT, read_arrays, write_arrays

pytest.importorskip("faiss")
VECTORS = clustered(300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Ivf(lists=10, nprobe=7).build(VECTORS, threads=1).save(tmp_path / "index")
    return tmp_path / "index"


def edit(folder: Path, **changes: object) -> None:
    about = json.loads((folder / ABOUT).read_text()) | changes
    (folder / ABOUT).write_text(json.dumps(about))
    (folder / LIST).unlink()
    list_parts(folder)


def test_damage_is_named_before_faiss_reads_anything(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for wrong in (
            whole[:-1],
            whole[: len(whole) // 2] + b"\xff" + whole[len(whole) // 2 + 1 :],
            None,
        ):
            file.unlink() if wrong is None else file.write_bytes(wrong)
            with pytest.raises(ValueError, match="build the index again"):
                open_index(folder, VECTORS)
            file.write_bytes(whole)
    assert open_index(folder, VECTORS).effort == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "is of format 2, and this version reads 1"),
        ({"rows": -1}, "rows: -1 is not at least 0"),
        ({"rows": 299}, r"vectors: shape \(300, 36\).* built of shape \(299, 36\)"),
        ({"width": 0}, "width: 0 is not at least 1"),
        ({"index": {"use": "ivff"}}, "'ivff' is no index technique .did you mean 'ivf'"),
        ({"index": {"use": "ivf", "lists": 11, "nprobe": 0}}, "nprobe: 0 is not"),
        ({"index": {"use": "hnsw"}}, "index.faiss is of kind b'IwSq', not 'IHNs'"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    folder: Path, changes: dict, message: str
) -> None:
    edit(folder, **changes)
    with pytest.raises(ValueError, match=message):
        open_index(folder, VECTORS)


def test_a_space_that_does_not_fit_is_refused(folder: Path) -> None:
    write_arrays(
        folder / "space.safetensors",
        {"mean": np.zeros(9, np.float32), "factors": np.array([1.0, 0, 0])},
    )
    edit(folder)
    with pytest.raises(
        ValueError, match=r"space\.safetensors: it is not the space of vectors of width 36"
    ):
        open_index(folder, VECTORS)


def test_the_vectors_are_asked_for_and_checked(folder: Path) -> None:
    with pytest.raises(ValueError, match="holds no vectors to re-score candidates from"):
        open_index(folder)
    with pytest.raises(ValueError, match=r"vectors: shape \(5, 36\)"):
        open_index(folder, VECTORS[:5])
    assert open_index(folder, VECTORS.__getitem__).search(VECTORS[:1], 1)[1].tolist() == [[0]]


def test_an_index_replaces_an_index_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    Exact().build(VECTORS[:5]).save(folder)
    assert open_index(folder).rows == 5
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds something other than an index"):
        Exact().build(VECTORS).save(tmp_path / "other")
    with pytest.raises(ValueError, match=r"is not an index: it has no index\.json"):
        open_index(tmp_path / "nowhere")


def test_arrays_of_another_shape_or_kind_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "arrays.safetensors"
    write_arrays(file, {"a": np.arange(6).reshape(2, 3)})
    assert read_arrays(file, {"a": ("I64", (2, None))})["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    for shapes in (
        {"a": ("F32", (2, 3))},
        {"a": ("I64", (3, 2))},
        {"a": ("I64", (6,))},
        {"b": ("I64", (2, 3))},
    ):
        with pytest.raises(ValueError, match=r"(a|b) is not \w+ of shape"):
            read_arrays(file, shapes)  # type: ignore[arg-type]
    file.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is not a safetensors file"):
        read_arrays(file, {"a": ("I64", (2, 3))})
