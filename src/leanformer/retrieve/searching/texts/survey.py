"""A first look at what is to be indexed: what is new, what is gone, and what cannot be read.

It costs no pass of the encoder, so that damaged files are all named before anything is changed, and
the time that is left can be told from the characters that are left.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leanformer.core.shown import one_line
from leanformer.retrieve.searching.texts.documents import Document, Texts, Unreadable
from leanformer.retrieve.searching.texts.keys import Keyed, document_in
from leanformer.retrieve.searching.texts.passages import CountUnits, Cutting

_NAMED = 20  # unreadable documents that a message names


@dataclass(frozen=True)
class Material:
    """Texts and how they become passages.

    Attributes:
        texts: Where they are.
        out: The folder of the index, whose files are not texts.
        cutting: How they are cut.
        count: Units of words; None = words are counted.
    """

    texts: Texts
    out: Path
    cutting: Cutting
    count: CountUnits | None = None

    def documents(self) -> Iterator[Document | Unreadable]:
        """Every document; two of one name are refused.

        Raises:
            ValueError: Two documents have one name, or as `Texts.read`.
        """
        seen: set[str] = set()
        for one in self.texts.read(leave_out=self.out):
            if isinstance(one, Document):
                if one.name in seen:
                    raise ValueError(
                        f"{self.texts.path}: two documents have the id {one.name!r}; give each an "
                        "id of its own, or name another column: --id"
                    )
                seen.add(one.name)
            yield one

    def passages(self, document: Document) -> list[Keyed]:
        """The passages of a document."""
        return [Keyed.of(document, one) for one in self.cutting.cut(document.text, self.count)]


@dataclass
class Survey:
    """What a look at all documents found.

    Attributes:
        documents: Documents that can be read.
        passages: Their passages.
        new: Passages that are not indexed yet.
        characters: Characters of these.
        unreadable: Documents that cannot be read.
        gone: Of each document, the keys of passages that the store has and the texts no more.
    """

    documents: int = 0
    passages: int = 0
    new: int = 0
    characters: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    gone: dict[str, list[str]] = field(default_factory=dict)

    def refuse_unreadable(self) -> None:
        """Name the documents that cannot be read.

        Raises:
            ValueError: There are some.
        """
        if self.unreadable:
            named = "; ".join(one_line(one.reason, 300) for one in self.unreadable[:_NAMED])
            more = len(self.unreadable) - _NAMED
            raise ValueError(
                f"{len(self.unreadable)} of {self.documents + len(self.unreadable)} documents "
                f"cannot be read: {named}{f'; and {more} more' if more > 0 else ''}; repair them, "
                "or leave them out with --skip-errors"
            )


def look(
    material: Material, present: Mapping[str, int], watch: Callable[[int], None] | None = None
) -> Survey:
    """Compare the passages of all documents with those that are indexed.

    Args:
        material: The texts.
        present: Row of each key that the store has.
        watch: Called with the bytes that were read.

    Raises:
        FileNotFoundError: The texts are not there.
        ValueError: There is no text, or as `Material.documents`.
    """
    found, wanted = Survey(), set[str]()
    for one in material.documents():
        if isinstance(one, Unreadable):
            found.unreadable.append(one)
            continue
        found.documents += 1
        for passage in material.passages(one):
            found.passages += 1
            if passage.key in present:
                wanted.add(passage.key)
            else:
                found.new += 1
                found.characters += len(passage.text)
        if watch is not None:
            watch(one.done)
    if not found.documents and not found.unreadable:
        raise ValueError(f"{material.texts.path}: all texts are blank; there is nothing to search")
    # What cannot be read now is not gone: its passages of a former run stay.
    kept = {one.name for one in found.unreadable}
    for key in present.keys() - wanted:
        if (name := document_in(key)) not in kept:
            found.gone.setdefault(name, []).append(key)
    return found
