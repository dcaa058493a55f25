"""From texts to token ids: by Hugging Face's tokenizer, or by a faster one that gives the same ids.

    ids(text) by tokie = ids(text) by tokenizers        for every text that tokie is given

Two libraries read one `tokenizer.json`. `tokie` is many times faster and young, so nothing is taken
on trust: an export compares both (`compare`). A text with a character on which they differ goes to
Hugging Face's, and so does every text where they differ in any other way.

Both encode one text at a time in the calling thread. Hugging Face's can also use its pool of
threads, which has one per core and belongs to the process, whatever a session asked for; so the
pool is started only where all cores were asked for.
"""

import logging
import re
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Encoding, Tokenizer

_log = logging.getLogger(__name__)
FAST = "tokie"
"""The package of the fast tokenizer: `pip install leanformer[fast]`."""
Range = tuple[int, int]
"""The first and the last of some code points."""


class Encoder(Protocol):
    """Gives token ids without special tokens around them, from any number of threads."""

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text."""


class HuggingFace:
    """The tokenizer that the checkpoint came with."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Use `tokenizer` as it is set."""
        self._tokenizer, self._starts = tokenizer, True

    def added(self) -> list[str]:
        """The tokens that are found in texts before anything else, e.g. "[SEP]"."""
        return [token.content for token in self._tokenizer.get_added_tokens_decoder().values()]

    def ids(self, texts: Sequence[str], *, parallel: bool = False) -> list[list[int]]:
        """The token ids of each text; `parallel` uses a thread per core."""
        return [one.ids for one in self.encodings(texts, parallel=parallel)]

    def encodings(
        self, texts: Sequence[str], *, parallel: bool = False, offsets: bool = False
    ) -> list[Encoding]:
        """Ids of each text, and with `offsets` the characters of each token."""
        if parallel and self._starts and len(texts) > 1:
            tokenizer = self._tokenizer
            batch = tokenizer.encode_batch if offsets else tokenizer.encode_batch_fast
            try:
                return batch(list(texts), add_special_tokens=False)
            except BaseException as error:
                if not panicked(error):
                    raise
                self._starts = False
                _log.warning(
                    "the thread pool of tokenizers did not start (%s); texts are tokenized one by "
                    "one from now on (said once)",
                    error,
                )
        # even a batch of one text would start the pool
        return [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]


class Tokie:
    """The fast tokenizer, in the calling thread; the other one for texts that it would misread.

    Attributes:
        failed: Whether it failed on a text; from then on the other one reads everything.
    """

    def __init__(self, file: Path, reference: HuggingFace, spared: Sequence[Range] = ()) -> None:
        """Read `tokenizer.json`.

        Args:
            file: The file.
            reference: Hugging Face's tokenizer of the same file.
            spared: First and last code points of characters that it is not given.

        Raises:
            ImportError: The package is not installed.
            ValueError: It cannot read the file.
        """
        package: Any = import_module(FAST)
        self._reference, self.failed = reference, False
        self._spared = _characters(spared)
        try:
            self._tokenizer = package.Tokenizer.from_json(str(file))
            self._tokenizer.no_padding()
            self._tokenizer.no_truncation()
        except BaseException as error:
            if not panicked(error):
                raise
            raise ValueError(f"{FAST} cannot read {file.name}: {error}") from error

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """See `Encoder.ids`."""
        if self.failed:
            return self._reference.ids(texts)
        encode, spared = self._tokenizer.encode, self._spared
        try:
            return [
                self._reference.ids([text])[0]
                if spared is not None and spared(text)
                else encode(text, False).ids
                for text in texts
            ]
        except BaseException as error:
            if not panicked(error):
                raise
            self.failed = True
            _log.warning("%s failed (%s); Hugging Face's reads texts from now on", FAST, error)
            return self._reference.ids(texts)


def _characters(ranges: Sequence[Range]) -> Callable[[str], Any] | None:
    """Function that finds a character of some ranges of code points in a text."""
    if not ranges:
        return None
    # three classes, since Python looks only those below 0x10000 up in a table
    ascii_, low, high = (
        _inside(ranges, *ends) for ends in ((0, 0x7F), (0, 0xFFFF), (0x10000, 0x10FFFF))
    )

    def find(text: str) -> Any:
        if text.isascii():
            return ascii_(text)
        return low(text) or (max(text) > "\uffff" and high(text))

    return find


def _inside(ranges: Sequence[Range], start: int, end: int) -> Callable[[str], Any]:
    """Finds a character of the ranges, as far as they lie between two code points."""
    cut = [(max(low, start), min(high, end)) for low, high in ranges]
    inside = "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in cut if low <= high)
    return re.compile(f"[{inside}]" if inside else "(?!)").search


def fast_version() -> str | None:
    """The installed version of the fast tokenizer; None where it is not installed."""
    try:
        return metadata.version(FAST)
    except metadata.PackageNotFoundError:
        return None


def panicked(error: BaseException) -> bool:
    """Whether a library failed, by an exception or by a panic of Rust, which is not an Exception.

    Interrupts and exits are neither.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
