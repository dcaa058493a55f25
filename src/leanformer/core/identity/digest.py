"""Digests of what is large (BLAKE2b): equal digests, equal content."""

import hashlib
import marshal
from collections.abc import Iterator, Sequence
from typing import Any

PREFIX = "blake2b:"
"""How a digest begins, so that it is known as one."""
_SHORT = 16
_CHUNK = 1000  # items that are hashed at once


def digest(*parts: Any) -> str:
    """A digest of numbers, texts, lists, tables and arrays; an iterator is passed through in parts.

    Values count with their types: 1, 1.0 and True differ.
    """
    seen = hashlib.blake2b(digest_size=32)
    for part in parts:
        for piece in part if isinstance(part, Iterator) else (part,):
            seen.update(marshal.dumps(piece, 2))  # 2: no references, so equal values, equal bytes
    return PREFIX + seen.hexdigest()


def short(found: str) -> str:
    """The first digits of a digest, for names of files."""
    return found.removeprefix(PREFIX)[:_SHORT]


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Many items in parts, for `digest`: their bytes are never all in memory."""
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
