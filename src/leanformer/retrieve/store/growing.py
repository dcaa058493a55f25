"""An array that grows at its end while others read its beginning."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEWEST = 1024


class Growing:
    """Values that are appended; an array of the first n never changes its length.

    Room is doubled, so that appending is cheap whatever the size. A reader takes `first(n)` for an
    `n` that was there before; a writer appends behind it, or into a larger copy.
    """

    def __init__(self, dtype: Any) -> None:
        self._values = np.empty(_FEWEST, dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, values: NDArray[Any]) -> None:
        """Put `values` [n] behind what is there."""
        needed = self._count + len(values)
        if needed > len(self._values):
            larger = np.empty(max(needed, 2 * len(self._values)), self._values.dtype)
            larger[: self._count] = self._values[: self._count]
            self._values = larger
        self._values[self._count : needed] = values
        self._count = needed

    def first(self, count: int) -> NDArray[Any]:
        """The first `count` values: a view."""
        assert count <= self._count
        return self._values[:count]
