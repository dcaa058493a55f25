"""Write the rows that are alive anew, without those that are deleted.

The new generation is written beside the old one, and is committed by the rename of the manifest. A
kill before it leaves the old generation, one after it the new one. Files of the old generation are
removed then; who has them mapped reads on.
"""

from dataclasses import replace
from pathlib import Path

from leanformer.retrieve.store.appending import Appending
from leanformer.retrieve.store.batch import Batch
from leanformer.retrieve.store.manifest import Manifest
from leanformer.retrieve.store.snapshot import Snapshot

_ROWS_BYTES = 2**24


def write_compacted(folder: Path, snapshot: Snapshot) -> Manifest:
    """Write a new generation of the rows that are alive, in their order.

    Every row is checked as it is read.

    Args:
        folder: The store.
        snapshot: Its newest version.

    Returns:
        The manifest that commits it.

    Raises:
        ValueError: A row is damaged.
        DiskFull: There is no space for both generations.
    """
    former = snapshot.manifest
    manifest = replace(former, generation=former.generation + 1)
    to = Appending(folder, manifest)
    for rows, vectors in snapshot.blocks(max(1, _ROWS_BYTES // manifest.row_bytes)):
        texts = snapshot.state.blocks.pieces(rows, (0, 1, 2))
        to.append(Batch(vectors.astype(manifest.disk_dtype), texts))
    return to.settle()
