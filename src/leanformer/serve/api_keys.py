"""API keys: which requests may be answered.

A key is read from a file, one per line, or from the environment, never from the command line, where
other users of the machine could see it. Keys are compared in constant time.
"""

import hmac
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from leanformer.serve.errors import Refused

VARIABLE = "LEANFORMER_API_KEY"


def read_api_keys(
    file: Path | None, environment: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """The keys of a file, or else that of the environment; () = every request is answered.

    Args:
        file: A file with one key per line, so that an old and a new one may both count.
        environment: Where `LEANFORMER_API_KEY` is looked for.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no key, or one that no header can carry.
    """
    if file is None:
        place, keys = VARIABLE, [environment[VARIABLE]] if VARIABLE in environment else []
        if not keys:
            return ()
    else:
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
        place, keys = str(file), [line.strip() for line in lines if line.strip()]
    if not keys or not all(keys):
        raise ValueError(f"{place} holds no API key; write one per line, or leave it out")
    for number, key in enumerate(keys, 1):
        if not all("!" <= character <= "~" for character in key):
            raise ValueError(
                f"{place}: key {number} has spaces or characters beyond ASCII, which no header "
                "carries; make another"
            )
    return tuple(keys)


def check_api_key(headers: Sequence[tuple[bytes, bytes]], keys: Sequence[str]) -> None:
    """Refuse a request without a valid key.

    Args:
        headers: The request's headers, names in lower case.
        keys: The valid keys; none = every request is answered.

    Raises:
        Refused: There is no key, or another one.
    """
    if not keys:
        return
    given = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, key = given.partition(b" ")
    own = key.strip() if scheme.lower() == b"bearer" else b""
    # every key is compared, so that the time does not tell which one nearly fits
    if not sum(hmac.compare_digest(own, one.encode()) for one in keys):
        said = "is not valid" if own else "is missing: send the header Authorization: Bearer KEY"
        raise Refused(
            401,
            f"the API key {said}",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )
