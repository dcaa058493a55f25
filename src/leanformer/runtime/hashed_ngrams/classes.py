"""Which code points are spaces and which belong to words; the same in every version of Python.

Letters, digits and the underscore of ASCII are word characters, and so is everything from U+0080 on
but for spaces and the punctuation listed here: letters and marks of all scripts, emoji too.
"""

import numpy as np
from numpy.typing import NDArray

_OTHER, WORD, SPACE = 0, 1, 2

_SPACES = (
    *range(0x09, 0x0E),
    *range(0x1C, 0x21),
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
)  # what `str.split` splits at
_PUNCTUATION = (
    (0x0080, 0x00A9),
    (0x00AB, 0x00B4),
    (0x00B6, 0x00B9),
    (0x00BB, 0x00BF),
    (0x00D7, 0x00D7),
    (0x00F7, 0x00F7),
    (0x055A, 0x055F),
    (0x060C, 0x060D),
    (0x061B, 0x061F),
    (0x06D4, 0x06D4),
    (0x0964, 0x0965),
    (0x2010, 0x206F),
    (0x3001, 0x3003),
    (0x3008, 0x3020),
    (0xFE10, 0xFE19),
    (0xFE30, 0xFE6B),
    (0xFF01, 0xFF0F),
    (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF65),
)


def _classes(*, words: bool) -> NDArray[np.uint8]:
    found = np.full(2**16, WORD, np.uint8)
    if words:
        ascii_words = [chr(c).isalnum() or chr(c) == "_" for c in range(128)]
        found[:128] = np.where(ascii_words, WORD, _OTHER)
        for first, last in _PUNCTUATION:
            found[first : last + 1] = _OTHER
    found[list(_SPACES)] = SPACE
    return found


TEXT = _classes(words=True)
"""The class of each code point below 2^16; those above are word characters."""

TAGGED = _classes(words=False)
"""The same where texts come as words: only spaces separate them."""
