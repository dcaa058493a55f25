"""The tokenizer of a served folder, as its description says that it is to be used.

At export the fast tokenizer is compared with Hugging Face's, and `leanformer.json` says what came
of it:

    "tokenizer": {"name": "tokie", "version": "0.1.4", "digest": ..., "spared": "7f 890-891 ..."}
    "tokenizer": {"name": "tokenizers", "reason": "tokie is not installed"}

A folder is read with the fast one only where that very version is installed and `tokenizer.json` is
the one that was compared; `spared` lists the characters (code points) that it is not given.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from leanformer.runtime.manifest import Manifest, file_digest, read_manifest
from leanformer.text import Reader, open_reader
from leanformer.text.compare import differing_characters, first_difference
from leanformer.text.encoders import FAST, HuggingFace, Range, Tokie, fast_version, panicked
from leanformer.text.stress import stress_texts

_log = logging.getLogger(__name__)
_FILE = "tokenizer.json"
_said: set[str] = set()


def open_tokenizer(folder: Path, manifest: Manifest | None = None) -> Reader:
    """The reader of `folder`, which cuts texts to what the model reads.

    Args:
        folder: A folder with `leanformer.json`.
        manifest: Its description, where the caller has read it.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged.
    """
    described = read_manifest(folder) if manifest is None else manifest
    return open_reader(folder, described.max_length, partial(_fast, folder, described.tokenizer))


def compared_tokenizer(folder: Path, texts: Sequence[str]) -> dict[str, str]:
    """Which tokenizer serves `folder`, for its description: the fast one if its ids are equal.

    Args:
        folder: A folder with `tokenizer.json`.
        texts: The user's texts; a stress corpus is compared beside them.
    """
    version = fast_version()
    if version is None:
        return {"name": "tokenizers", "reason": f"{FAST} is not installed"}
    found: dict[str, str] = {}

    def compare(reference: HuggingFace) -> None:
        """Compare while the reader is opened, with its tokenizer."""
        try:
            found.update(_compared(folder / _FILE, reference, texts, version))
        except BaseException as error:
            if not panicked(error):
                raise
            found.update(name="tokenizers", reason=f"{FAST} {version} fails: {error}")

    open_reader(folder, 2**20, compare)
    return found


def _compared(
    file: Path, reference: HuggingFace, texts: Sequence[str], version: str
) -> dict[str, str]:
    own = {"name": "tokenizers"}
    bare = Tokie(file, reference)
    if where := first_difference(reference, bare, ["the quick brown fox"]):
        return {**own, "reason": f"{FAST} {version} reads {where} differently"}
    ranges = differing_characters(reference, bare)
    if ranges is None:
        return {**own, "reason": f"{FAST} {version} reads many characters differently"}
    fast = Tokie(file, reference, ranges)
    if where := first_difference(reference, fast, [*stress_texts(reference.added()), *texts]):
        return {**own, "reason": f"{FAST} {version} reads {where} differently"}
    if fast.failed:
        return {**own, "reason": f"{FAST} {version} fails on a text"}
    return {
        "name": FAST,
        "version": version,
        "digest": file_digest(file),
        "spared": _written(ranges),
    }


def _fast(folder: Path, chosen: dict[str, str], reference: HuggingFace) -> "Tokie | None":
    """The fast tokenizer of a folder, or None and a line in the log."""
    if chosen.get("name") != FAST:
        return None
    asked, version = chosen.get("version"), fast_version()
    if version != asked:
        has = f"{FAST} {version} is" if version else "it is not"
        _say(f"{folder} was compared with {FAST} {asked}, and {has} installed")
        return None
    if file_digest(folder / _FILE) != chosen.get("digest"):
        _say(f"{folder / _FILE} is not the file that was compared with {FAST}")
        return None
    try:
        return Tokie(folder / _FILE, reference, _ranges(chosen.get("spared", "")))
    except (ImportError, ValueError) as error:
        _say(f"{folder}: {error}")
        return None


def _say(reason: str) -> None:
    """Say once why texts are read with the slower tokenizer."""
    if reason not in _said:
        _said.add(reason)
        _log.warning("%s: Hugging Face's tokenizer reads texts (said once)", reason)


def _written(ranges: Sequence[Range]) -> str:
    """Ranges of code points in hexadecimal: "7f 890-891"."""
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in ranges)


def _ranges(text: str) -> list[Range]:
    pairs = [part.partition("-") for part in text.split()]
    return [(int(low, 16), int(high or low, 16)) for low, _, high in pairs]
