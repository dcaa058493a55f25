"""Whether two tokenizers give the same ids: for each character of Unicode, and for whole texts.

Libraries know Unicode in different versions, so they differ on characters that were assigned late,
and on a control character or two. A text without these is read the same by both; whether that is
true is what `first_difference` finds out on the texts of a user and on a stress corpus.
"""

import unicodedata
from collections.abc import Iterator, Sequence

from leanformer.text.encoders import Encoder, Range

_TRIED = 0x20000  # code points beyond are rare Chinese characters, tags, private or not assigned
_LAST = 0x10FFFF
_AT_A_TIME = 64
_MOST = 10_000  # differing characters, from which the tokenizers are simply different


def differing_characters(reference: Encoder, other: Encoder) -> list[Range] | None:
    """Ranges of code points on which two encoders differ, alone or inside a word.

    What is not tried counts as differing: code points from 0x20000 on, and those without a
    character.

    Returns:
        The ranges in order; None where they differ on so many that nothing is left to share.
    """
    kinds = [unicodedata.category(chr(code)) for code in range(_TRIED)]
    codes = [code for code, kind in enumerate(kinds) if kind not in ("Cn", "Co", "Cs")]
    found: set[int] = set()
    for start in range(0, len(codes), _AT_A_TIME):
        found.update(_differing(reference, other, codes[start : start + _AT_A_TIME]))
        if len(found) > _MOST:
            return None
    found.update(set(range(_TRIED)).difference(codes))
    return [*_ranges(sorted(found)), (_TRIED, _LAST)]


def first_difference(reference: Encoder, other: Encoder, texts: Sequence[str]) -> str:
    """The first text that two encoders read differently, shortened; "" where all ids are equal."""
    for text in texts:
        if reference.ids([text]) != other.ids([text]):
            return repr(text[:60])
    return ""


def _differing(reference: Encoder, other: Encoder, codes: list[int]) -> list[int]:
    """Those of `codes` that are read differently, found by halving."""
    sample = [" ".join(f"{chr(code)} a{chr(code)}b" for code in codes)]
    if reference.ids(sample) == other.ids(sample):
        return []
    if len(codes) == 1:
        return codes
    half = len(codes) // 2
    parts = codes[:half], codes[half:]
    return [code for part in parts for code in _differing(reference, other, part)]


def _ranges(codes: Sequence[int]) -> Iterator[Range]:
    """Runs of neighbours as their first and last."""
    start = 0
    for place in range(1, len(codes) + 1):
        if place == len(codes) or codes[place] != codes[place - 1] + 1:
            yield codes[start], codes[place - 1]
            start = place
