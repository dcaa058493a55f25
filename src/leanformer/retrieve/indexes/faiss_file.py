"""Files of FAISS are untrusted: their header is read by us before FAISS reads the rest.

    bytes 0-3   four letters that name the class: "IHNs", "IwFl", …
          4-7   width E (int32)
         8-15   rows N (int64)
        16-31   two numbers of no meaning
           32   1 = trained
        33-36   the metric (int32): 1 = L2, 0 = inner product

FAISS trusts the sizes in a file, and its reader was hardened again and again. So a file is opened
only if its class is the one that its description builds, its width and rows are those of the
description, and it is long enough for its rows; and what was read is examined once more before it
is searched: links of a graph and row numbers of lists must lie within the rows.
"""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leanformer.retrieve.indexes.saving import WAY_OUT

FILE = "index.faiss"
_FLOAT = struct.Struct("<4siqqq?i")
_BINARY = struct.Struct("<4siiq?i")
_limit = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a file must be before FAISS may open it.

    Attributes:
        fourcc: The four letters of its class.
        width: E, numbers (or bits) per vector.
        rows: N.
        least_bytes: What the codes of these rows take at least.
        metric: FAISS's number of what is compared: 1 = distances, 0 = inner products.
        table_bytes: Size of a table that FAISS computes when it opens the file; 0 = none.
    """

    fourcc: str
    width: int
    rows: int
    least_bytes: int
    metric: int = 1
    table_bytes: int = 0


def import_faiss() -> Any:
    """The module `faiss`.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "this index needs faiss: pip install 'leanformer[retrieve]'; Exact() works without it"
        ) from error
    return faiss


@contextmanager
def threads_of_faiss(threads: int | None) -> Iterator[Any]:
    """`faiss`, whose OpenMP has so many threads within the block; None = all cores.

    FAISS brings an OpenMP of its own, which no setting of torch or numpy reaches. The number
    belongs to the calling thread: several threads may search with different numbers.
    """
    from leanformer.core.machine.threads import cores

    faiss = import_faiss()
    former = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads or cores())
    try:
        yield faiss
    finally:
        faiss.omp_set_num_threads(former)


def read_faiss(file: Path, expected: Expected) -> Any:
    """The index of FAISS in `file`.

    Raises:
        ValueError: It is not the file that is expected, or FAISS cannot read it.
        OSError: It cannot be read.
    """
    check_header(file, expected)
    faiss = import_faiss()
    binary = expected.fourcc.startswith("IB")
    read = faiss.read_index_binary if binary else faiss.read_index
    try:
        with _limited(faiss, max(file.stat().st_size, expected.table_bytes + 8)):
            found = read(str(file))
    except RuntimeError as error:
        said = str(error).splitlines()[-1][:200] if str(error) else "no reason given"
        raise ValueError(f"{file}: FAISS cannot read it ({said}); {WAY_OUT}") from error
    if (found.d, found.ntotal) != (expected.width, expected.rows):
        raise ValueError(f"{file} does not hold what its header says; {WAY_OUT}")
    check_inside(faiss, found, file)
    return found


def check_header(file: Path, expected: Expected) -> None:
    """Compare the header of a file with what is expected.

    Raises:
        ValueError: It differs, or the file is shorter than its rows need.
        OSError: It cannot be read.
    """
    form = _BINARY if expected.fourcc.startswith("IB") else _FLOAT
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(form.size)
    if len(head) < form.size:
        raise ValueError(f"{file} has {size} bytes and no header of FAISS; {WAY_OUT}")
    letters, width, *_ = form.unpack(head)
    rows, trained, metric = form.unpack(head)[-3:] if form is _BINARY else _float_fields(head)
    if letters != expected.fourcc.encode():
        raise ValueError(f"{file} is of kind {letters!r}, not {expected.fourcc!r}; {WAY_OUT}")
    found = (width, rows, trained, metric)
    wanted = (expected.width, expected.rows, True, expected.metric)
    if found != wanted:
        raise ValueError(
            f"{file}: (width, rows, trained, metric) are {found}, not {wanted}; {WAY_OUT}"
        )
    if size < expected.least_bytes:
        raise ValueError(
            f"{file} has {size} bytes; {expected.rows} rows take at least "
            f"{expected.least_bytes}; {WAY_OUT}"
        )


def check_inside(faiss: Any, index: Any, file: Path) -> None:
    """Refuse links and row numbers that point outside of the rows.

    Raises:
        ValueError: There are some.
    """
    if isinstance(index, faiss.IndexHNSW):
        links = faiss.vector_to_array(index.hnsw.neighbors)
        levels = faiss.vector_to_array(index.hnsw.levels)
        outside = len(levels) != index.ntotal or index.storage.ntotal != index.ntotal
        outside |= bool(len(links)) and (links.min() < -1 or links.max() >= index.ntotal)
        outside |= not -1 <= index.hnsw.entry_point < max(index.ntotal, 1)
    elif isinstance(index, faiss.IndexIVF):
        lists = index.invlists
        sizes = [lists.list_size(number) for number in range(index.nlist)]
        outside = sum(sizes) != index.ntotal or index.quantizer.ntotal != index.nlist
        for number, count in enumerate(sizes):
            ids = faiss.rev_swig_ptr(lists.get_ids(number), count) if count else np.zeros(0)
            outside |= bool(count) and (ids.min() < 0 or ids.max() >= index.ntotal)
    else:
        return
    if outside:
        raise ValueError(f"{file} points outside of its rows: it was altered; {WAY_OUT}")


@contextmanager
def _limited(faiss: Any, size: int) -> Iterator[None]:
    """Within the block no array that FAISS reads may be of more bytes than that."""
    with _limit:
        former = faiss.get_deserialization_vector_byte_limit()
        faiss.set_deserialization_vector_byte_limit(size)
        try:
            yield
        finally:
            faiss.set_deserialization_vector_byte_limit(former)


def _float_fields(head: bytes) -> tuple[int, bool, int]:
    _, _, rows, _, _, trained, metric = _FLOAT.unpack(head)
    return rows, trained, metric
