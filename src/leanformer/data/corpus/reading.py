"""Reading a corpus through, with a digest of what was read and reports of how far it is."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from leanformer.data.corpus.documents import Document
from leanformer.data.corpus.shards import Texts
from leanformer.data.corpus.texts import Corpus, source_bytes, stream

_SAID = 0.5  # seconds between two reports


@dataclass(frozen=True)
class CorpusProgress:
    """How far the reading of a corpus is.

    Attributes:
        documents: Documents read, those of a former run included.
        characters: Their characters.
        bytes_read: Bytes of the source files as they lie on the disk; 0 of data sets of the hub.
        seconds: Time since the reading began.
        share: Share of the source files that was read; None for data sets of the hub.
        left: Seconds that are left at this pace; None where that is not known.
    """

    documents: int
    characters: int
    bytes_read: int
    seconds: float
    share: float | None
    left: float | None


Watch = Callable[[CorpusProgress], None]


class Read:
    """The documents of a corpus, with what has been seen of them."""

    def __init__(self, corpus: Corpus, watch: Watch | None) -> None:
        self.texts, self._watch = Texts(), watch
        self._documents, self._all = stream(corpus), source_bytes(corpus)
        self._began, self._said = time.perf_counter(), 0.0
        self._seen = self._characters = self._done = self._began_at = 0

    def __iter__(self) -> Iterator[Document]:
        return self

    def __next__(self) -> Document:
        document = next(self._documents)
        self._seen += 1
        self._characters += len(document.text)
        self._done = document.done
        self.tell()
        return document

    def resume_pace(self) -> None:
        """From here on the pace is that of tokenizing, not that of reading again."""
        self._began_at, self._began = self._done, time.perf_counter()

    def tell(self, *, end: bool = False) -> None:
        """Report the progress, if it is time to."""
        now = time.perf_counter()
        if self._watch is None or (now - self._said < _SAID and not end):
            return
        self._said, seconds = now, now - self._began
        share = left = None
        if self._all:
            share = 1.0 if end else self._done / self._all
            read = self._done - self._began_at
            left = seconds * (self._all - self._done) / read if read else None
            left = 0.0 if end else left
        self._watch(CorpusProgress(self._seen, self._characters, self._done, seconds, share, left))
