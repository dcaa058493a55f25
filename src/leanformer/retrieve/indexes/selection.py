"""Which rows a search may return: a filter, or what is left of rows when some were deleted."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Selection:
    """Rows that may be returned. Make one per filter and use it again: its parts are kept.

    Attributes:
        mask_N: True = may be returned, one value per row of the index.
    """

    mask_N: NDArray[np.bool_]

    @functools.cached_property
    def count(self) -> int:
        """How many rows are left."""
        return int(np.count_nonzero(self.mask_N))

    @functools.cached_property
    def rows(self) -> NDArray[np.int64]:
        """Their numbers, ascending."""
        return np.flatnonzero(self.mask_N)

    @functools.cached_property
    def bits(self) -> NDArray[np.uint8]:
        """One bit per row, as FAISS reads them."""
        return np.packbits(self.mask_N, bitorder="little")


def selection(allowed: "NDArray[np.bool_] | Selection | None", rows: int) -> Selection | None:
    """`allowed` as a `Selection` of an index with `rows` rows; None where every row is allowed.

    Raises:
        ValueError: It is not one truth value per row.
    """
    if allowed is None:
        return None
    mask_N = allowed.mask_N if isinstance(allowed, Selection) else np.asarray(allowed)
    if mask_N.dtype != np.bool_ or mask_N.shape != (rows,):
        raise ValueError(
            f"allowed: {mask_N.dtype} of shape {mask_N.shape}; give one bool per row, "
            f"shape ({rows},)"
        )
    made = allowed if isinstance(allowed, Selection) else Selection(mask_N)
    return None if made.count == rows else made
