"""What a change puts into a store and takes out of it, checked before anything is written."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leanformer.core.shown import shown
from leanformer.retrieve.store.batch import (
    Batch,
    Records,
    check_keys,
    check_records,
    check_vectors,
)
from leanformer.retrieve.store.snapshot import Snapshot


def rows_to_write(
    snapshot: Snapshot, keys: Sequence[str], vectors_ND: ArrayLike, records: Records | None
) -> tuple[Batch, NDArray[np.int64]]:
    """Rows to be written, and those that have their keys now [N], -1 where none has.

    Without records, a key that is there keeps its own.

    Raises:
        ValueError: A key is there twice, or a vector or record does not fit.
    """
    names = check_keys(keys)
    vectors = check_vectors(vectors_ND, len(names), snapshot.manifest)
    texts = check_records(records, len(names))
    former = snapshot.rows_of(keys)
    if records is None:
        there = np.flatnonzero(former >= 0)
        kept = snapshot.state.blocks.pieces(former[there], (1, 2))
        for place, (text, metadata) in zip(there.tolist(), kept, strict=True):
            texts[place] = text, metadata
    rows = [(key, *parts) for key, parts in zip(names, texts, strict=True)]
    return Batch(vectors, rows), former


def rows_to_delete(
    snapshot: Snapshot, delete: Sequence[str], keys: Sequence[str]
) -> NDArray[np.int64]:
    """The row of each key to be deleted, -1 where none has it.

    Raises:
        ValueError: A key is not a text, is there twice, or is one of `keys` too.
    """
    check_keys(delete, "delete")
    put_in = set(keys)
    for place, key in enumerate(delete):
        if key in put_in:
            raise ValueError(
                f"delete[{place}] is {shown(key)}, which is put in by the same call; leave it out "
                "of one of them"
            )
    return snapshot.rows_of(delete)
