"""Texts as the kernel reads them: lower-cased, as one array of UTF-8 bytes with offsets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Joined:
    """Texts one after the other.

    Attributes:
        data: Their UTF-8 bytes, [bytes]; lone surrogates pass as three bytes.
        at: Where each text begins, [N + 1] int64; the last is the number of bytes.
    """

    data: NDArray[np.uint8]
    at: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at) - 1

    def part(self, start: int, end: int) -> "Joined":
        """The texts from `start` to before `end`; no bytes are copied."""
        at = self.at[start : end + 1]
        return Joined(self.data[at[0] : at[-1]], at - at[0])

    def text(self, index: int) -> str:
        """One text, as the kernel reads it."""
        return self.data[self.at[index] : self.at[index + 1]].tobytes().decode("utf-8", _SURROGATES)


_SURROGATES = "surrogatepass"


def join(texts: Sequence[str], *, lower: bool = True) -> Joined:
    """Texts as UTF-8 bytes, lower-cased unless told otherwise."""
    whole = "".join(texts)
    if whole.isascii():  # lengths in characters are lengths in bytes, and stay the same
        data = (whole.lower() if lower else whole).encode()
        lengths = list(map(len, texts))
    else:
        parts = [(text.lower() if lower else text).encode("utf-8", _SURROGATES) for text in texts]
        data, lengths = b"".join(parts), list(map(len, parts))
    at = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=at[1:])
    return Joined(np.frombuffer(data, np.uint8), at)


def slices(texts: Joined, pairs: Joined | None, most_bytes: int) -> list[tuple[int, int]]:
    """Start and end of runs of texts of about `most_bytes`; each has one text at least."""
    ends = texts.at[1:] + (0 if pairs is None else pairs.at[1:])
    found, start = [], 0
    while start < len(texts):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + most_bytes, "right")))
        found.append((start, end))
        start = end
    return found
