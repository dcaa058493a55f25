"""Keys of passages: they name the place and the content, so that equal keys mean equal passages.

    notes/a.md:0-812:1f3c…9b7e40aa12d3f6c8        document : first and last character : digests

What is to be indexed and what is indexed already are compared as sets of keys: nothing else has to
be remembered between two runs, and a run that was killed goes on where the store is.
"""

from dataclasses import dataclass
from typing import Any

from leanformer.core.identity.digest import digest, short
from leanformer.retrieve.searching.texts.documents import Document
from leanformer.retrieve.searching.texts.passages import Passage

_TEXT, _REST = 16, 8  # characters of the digests of the text and of the metadata


@dataclass(frozen=True)
class Keyed:
    """A passage with its key and what is stored of it.

    Attributes:
        key: Its key.
        text: The passage.
        metadata: Of its document, with "start_char" and "end_char".
    """

    key: str
    text: str
    metadata: dict[str, Any]

    @classmethod
    def of(cls, document: Document, passage: Passage) -> "Keyed":
        """The passage of a document."""
        metadata = document.metadata | {"start_char": passage.start, "end_char": passage.end}
        about = short(digest(document.metadata))[:_REST]
        place = f"{document.name}:{passage.start}-{passage.end}"
        return cls(f"{place}:{digest_of_text(passage.text)}{about}", passage.text, metadata)

    @property
    def record(self) -> dict[str, Any]:
        """What a store keeps of it."""
        return {"text": self.text, "metadata": self.metadata}


def digest_of_text(text: str) -> str:
    """The digest of a passage's text, as it stands in its key."""
    return short(digest(text))[:_TEXT]


def text_digest_in(key: str) -> str:
    """The digest of the text in a key; "" where the key is of another form."""
    last = key.rpartition(":")[2]
    return last[:_TEXT] if len(last) == _TEXT + _REST else ""


def document_in(key: str) -> str:
    """The name of the document in a key."""
    return key.rsplit(":", 2)[0]
