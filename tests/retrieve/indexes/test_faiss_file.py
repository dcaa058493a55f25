"""Files of FAISS that were altered are refused before, or right after, FAISS reads them."""

import threading
from pathlib import Path

import numpy as np
import pytest
from index_cases import APPROXIMATE, clustered

from leanformer.core.storage.parts import LIST, list_parts
from leanformer.retrieve.indexes import Hnsw, Index, Ivf, Scalar, open_index
from leanformer.retrieve.indexes.faiss_file import FILE, threads_of_faiss

faiss = pytest.importorskip("faiss")
VECTORS = clustered(500)


def altered(folder: Path, change: object) -> Path:
    """An index whose file was changed by somebody who knows how to write checksums."""
    raw = bytearray((folder / FILE).read_bytes())
    made = change(raw)  # type: ignore[operator]
    (folder / FILE).write_bytes(bytes(raw if made is None else made))
    (folder / LIST).unlink()
    list_parts(folder)
    return folder


def put(place: int, value: int, size: int = 4) -> object:
    def change(raw: bytearray) -> None:
        raw[place : place + size] = value.to_bytes(size, "little", signed=True)

    return change


@pytest.mark.parametrize("index", APPROXIMATE, ids=repr)
def test_a_file_of_another_kind_width_number_or_length_is_refused(
    index: Index, tmp_path: Path
) -> None:
    built = index.build(VECTORS, threads=1)
    binary = "Binary" in repr(index)
    changes = {
        "is of kind b'IxHe', not": lambda raw: raw.__setitem__(slice(0, 4), b"IxHe"),
        r"\(width, rows, trained, metric\) are \(77, 500, True, 1\)": put(4, 77),
        r"are \(\d+, 1099511627776, True, 1\)": put(12 if binary else 8, 2**40, 8),
        "has 20 bytes and no header": lambda raw: raw[:20],
        "500 rows take at least": lambda raw: raw[: 48 + 10],
    }
    for message, change in changes.items():
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        built.save(place)
        with pytest.raises(ValueError, match=f"{place / FILE}.*{message}.*build the index again"):
            open_index(altered(place, change), VECTORS)


@pytest.mark.parametrize("index", [Hnsw(), Ivf()], ids=repr)
def test_what_faiss_cannot_read_is_refused_by_name(index: Index, tmp_path: Path) -> None:
    index.build(VECTORS, threads=1).save(tmp_path / "index")
    size = (tmp_path / "index" / FILE).stat().st_size
    altered(
        tmp_path / "index", lambda raw: raw[: size - 100] if index == Ivf() else put(37, 2**30)(raw)
    )  # type: ignore[operator]
    with pytest.raises(
        ValueError, match=r"index\.faiss: FAISS cannot read it .*build the index again"
    ):
        open_index(tmp_path / "index", VECTORS)


def test_links_and_row_numbers_beyond_the_rows_are_refused(tmp_path: Path) -> None:
    graph = Hnsw().build(VECTORS, threads=1)
    inner = graph._index  # type: ignore[attr-defined]
    links = faiss.vector_to_array(inner.hnsw.neighbors)
    links[3] = 10_000
    faiss.copy_array_to_vector(links, inner.hnsw.neighbors)
    graph.save(tmp_path / "graph")
    lists = Ivf(lists=4).build(VECTORS, threads=1)
    held = lists._index.invlists  # type: ignore[attr-defined]
    number = next(n for n in range(4) if held.list_size(n))
    ids = faiss.rev_swig_ptr(held.get_ids(number), held.list_size(number))
    ids[0] = 700
    lists.save(tmp_path / "lists")
    for name in ("graph", "lists"):
        with pytest.raises(
            ValueError, match=f"{name}/index.faiss.*(points outside of its rows|cannot read)"
        ):
            open_index(tmp_path / name, VECTORS)


def test_threads_are_those_of_the_calling_thread_and_come_back() -> None:
    before = faiss.omp_get_max_threads()
    seen: dict[int, int] = {}
    meet = threading.Barrier(3)

    def ask(count: int) -> None:
        with threads_of_faiss(count) as module:
            meet.wait(10)
            seen[count] = module.omp_get_max_threads()
            meet.wait(10)

    threads = [threading.Thread(target=ask, args=(count,)) for count in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {1: 1, 2: 2, 3: 3}
    assert faiss.omp_get_max_threads() == before


def test_a_query_is_searched_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from leanformer.retrieve.indexes import faiss_index

    seen: list[int | None] = []

    def note(threads: int | None) -> object:
        seen.append(threads)
        return threads_of_faiss(threads)

    built = Scalar().build(VECTORS, threads=2)
    monkeypatch.setattr(faiss_index, "threads_of_faiss", note)
    built.search(VECTORS[:1], 3)
    built.search(VECTORS[:9], 3)
    assert seen == [1, 2]
    assert np.isfinite(built.search(VECTORS[:1], 3)[0]).all()
