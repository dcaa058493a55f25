"""The quality of an exported model: of what will be served, not of what was trained."""

import numpy as np
from numpy.typing import NDArray

from leanformer.data import Encoded, by_length
from leanformer.runtime.session import Session, feed


def session_outputs(
    session: Session, encoded: Encoded, batch_size: int = 32
) -> list[NDArray[np.float32]]:
    """The session's output for every example, in their order: [C], [T, C] or [D] each."""
    found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(encoded)
    for indices in by_length(encoded, batch_size):
        batch = encoded.batch(indices)
        arrays = {name: tensor.numpy() for name, tensor in batch.inputs.items()}
        mask = arrays["attention_mask"]
        arrays.setdefault("token_type_ids", np.zeros_like(mask))
        for index, row in zip(indices, feed(session, arrays), strict=True):
            found[index] = row[: encoded.length(index)] if row.ndim > 1 else row
    return found
