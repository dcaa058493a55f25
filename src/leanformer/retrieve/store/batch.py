"""Rows on their way into a store: keys, vectors and records, checked before anything is written."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leanformer.core.shown import shown
from leanformer.retrieve.store.manifest import Manifest

Records = Sequence[Mapping[str, Any]]
"""{"text": "…", "metadata": {…}} per row, both optional."""
_TOLERANCE = 1e-3
"""How far from 1 the length of a normalized vector may be."""
_FIELDS = {"text", "metadata"}


@dataclass(frozen=True)
class Batch:
    """Rows to be written.

    Attributes:
        vectors: [N, D] in the dtype of the disk.
        texts: Of each row the bytes of its key, its text and its metadata.
    """

    vectors: NDArray[Any]
    texts: Sequence[tuple[bytes, ...]]


def check_keys(keys: Sequence[str], name: str = "keys") -> list[bytes]:
    """The bytes of keys that differ.

    Args:
        keys: The keys.
        name: What the caller knows them by, for messages.

    Raises:
        ValueError: A key is not a text, is empty, or is there twice.
    """
    if isinstance(keys, str):
        raise ValueError(f"{name} is one text, {shown(keys)}; give a list of keys")
    found: dict[bytes, int] = {}
    for place, key in enumerate(keys):
        if not isinstance(key, str) or not key:
            raise ValueError(f"{name}[{place}] is {shown(key)}; a key is a text that is not empty")
        raw = _encoded(key, f"{name}[{place}]")
        if raw in found:
            raise ValueError(
                f"{name}[{place}] is {shown(key)}, as {name}[{found[raw]}] is; give each key once"
            )
        found[raw] = place
    return list(found)


def check_vectors(vectors_ND: ArrayLike, count: int, manifest: Manifest) -> NDArray[Any]:
    """The vectors [N, D] in the dtype of the disk.

    Raises:
        ValueError: Their shape is not [count, width], or a vector is not finite, does not fit
            float16, or is not normalized in a store of normalized vectors.
    """
    given = np.asarray(vectors_ND)
    if given.dtype.kind not in "fiu" and given.size:
        raise ValueError(f"the vectors are of {given.dtype}; give floating-point numbers")
    if given.shape != (count, manifest.width) and (count or given.size):
        raise ValueError(
            f"the vectors have shape {list(given.shape)}; {count} keys in a store of width "
            f"{manifest.width} take [{count}, {manifest.width}]"
        )
    given = given.reshape(count, manifest.width)
    with np.errstate(over="ignore"):
        values = given.astype(manifest.disk_dtype)
    _check_finite(given, values)
    if manifest.normalized:
        _check_normalized(given)
    return values


def _check_finite(given_ND: NDArray[Any], values_ND: NDArray[Any]) -> None:
    """Refuse what is not finite, as it was given or in the dtype of the disk."""
    wrong = np.flatnonzero(~np.isfinite(values_ND).all(1))
    if not len(wrong):
        return
    row = int(wrong[0])
    if np.isfinite(given_ND[row]).all():
        largest = np.abs(given_ND[row]).max()
        raise ValueError(
            f"vectors[{row}] has an element of {largest:.6g}, which {values_ND.dtype} cannot hold; "
            "create the store with dtype='float32', or scale the vectors"
        )
    place = int(np.flatnonzero(~np.isfinite(given_ND[row]))[0])
    raise ValueError(
        f"vectors[{row}][{place}] is {given_ND[row, place]}; leave the row out, or look at what "
        "made it"
    )


def _check_normalized(vectors_ND: NDArray[Any]) -> None:
    lengths = np.sqrt(np.square(vectors_ND, dtype=np.float64).sum(1))
    wrong = np.flatnonzero(np.abs(lengths - 1) > _TOLERANCE)
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"vectors[{row}] has length {lengths[row]:.6g}, and the store holds vectors of length "
            "1; divide each by its length in float32, or create the store with normalized=False"
        )


def check_records(records: Records | None, count: int) -> list[tuple[bytes, bytes]]:
    """Text and metadata of each row, in bytes.

    Raises:
        ValueError: They are not one per key, or one holds what JSON scalars and lists of them
            cannot say.
    """
    if records is None:
        return [(b"", b"{}")] * count
    if len(records) != count:
        raise ValueError(f"there are {len(records)} records for {count} keys; give one per key")
    return [_record(record, f"records[{place}]") for place, record in enumerate(records)]


def _record(record: Mapping[str, Any], place: str) -> tuple[bytes, bytes]:
    if not isinstance(record, Mapping) or not record.keys() <= _FIELDS:
        raise ValueError(
            f'{place} is {shown(record)}; a record is {{"text": "…", "metadata": {{…}}}}'
        )
    text, metadata = record.get("text", ""), record.get("metadata", {})
    if not isinstance(text, str):
        raise ValueError(f"{place}: its text is {shown(text)}; give a text")
    if not isinstance(metadata, Mapping):
        raise ValueError(f"{place}: its metadata is {shown(metadata)}; give a dictionary")
    for name, value in metadata.items():
        _check_field(name, value, f"{place}: metadata")
    written = json.dumps(dict(metadata), ensure_ascii=False, separators=(",", ":"))
    return _encoded(text, place), _encoded(written, place)


def _check_field(name: Any, value: Any, place: str) -> None:
    values = value if isinstance(value, list | tuple) else [value]
    if not isinstance(name, str) or not all(map(_is_scalar, values)):
        raise ValueError(
            f"{place}[{shown(name)}] is {shown(value)}; metadata has names of text, and values "
            "that are text, finite numbers, true, false, null or lists of these"
        )


def _is_scalar(value: Any) -> bool:
    finite = not isinstance(value, float) or math.isfinite(value)
    return value is None or (isinstance(value, str | bool | int | float) and finite)


def _encoded(text: str, place: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{place}: {shown(text)} has half a character (a lone surrogate); write it out with "
            "text.encode(errors='replace').decode()"
        ) from None
