"""A corpus tokenized once, into a folder that goes on after a kill and is used again.

    corpus.json      whose folder it is: tokenizer, kind, share that is held out
    shard-00000/ …   token ids (`shards`)
    tokens.json      when all is there: the digest of the texts, sizes and checksums

A finished folder is taken as it is where the source files still have the same sizes and times.
Where they do not, the texts are read again and compared: equal texts keep the tokens, others are
refused.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from leanformer.core.identity.claim import changes, keep
from leanformer.core.shards import parts_of_shards, shard_name
from leanformer.core.storage.files import contents, recover_folder
from leanformer.core.storage.lock import locked_folder
from leanformer.data.corpus.documents import Document
from leanformer.data.corpus.reading import Read, Watch
from leanformer.data.corpus.shards import (
    Shard,
    Tokenized,
    dtype_of,
    split_of,
    write_shard,
    written_shards,
)
from leanformer.data.corpus.texts import Corpus, sources
from leanformer.data.corpus.token_file import (
    LISTING,
    Listing,
    read_listing,
    write_listing,
)
from leanformer.data.corpus.token_ids import TokenIds

CLAIM = "corpus.json"
SHARD_TOKENS = 2**25
"""Tokens of a shard: what a killed preparation may have to do again."""
_WORDS = {"tokenizer": "the tokenizer"}
_WINDOW = 2**19  # characters that are tokenized at once
_WINDOW_TEXTS = 1000


def tokenized(
    corpus: Corpus,
    tokenizer: Any,
    kind: str,
    folder: Path,
    *,
    shard_tokens: int = SHARD_TOKENS,
    watch: Watch | None = None,
    reread: bool = False,
) -> Listing:
    """The token ids of a corpus in `folder`, written where they are not there yet.

    Args:
        corpus: The texts.
        tokenizer: A fast transformers tokenizer.
        kind: "causal-lm" or "masked-lm".
        folder: Where they are kept.
        shard_tokens: Tokens of a shard.
        watch: Called with the progress about twice a second, and at the end.
        reread: Compare the texts even where sizes and times of the files are as they were.

    Raises:
        ValueError: The folder holds another corpus or is damaged, a text cannot be read, or one
            side of the split has no document.
        FileNotFoundError: There is no such file.
        FolderInUse: Another process prepares the folder.
    """
    read = TokenIds(tokenizer, kind)
    stamps = _stamps(corpus)
    asked = {**read.identity(tokenizer), "held_out": corpus.held_out}
    with locked_folder(folder):
        recover_folder(folder)
        if changes(folder / CLAIM, {"begins": asked}, _WORDS) is None:
            _refuse_foreign(folder)
            keep(folder / CLAIM, {"paths": list(corpus.paths)}, {"begins": asked})
        if (folder / LISTING).is_file():
            listing = read_listing(folder)
            if listing.identity["sources"] == stamps and not reread:
                return listing
            _compare(Read(corpus, watch), listing.shards, folder)
            listing = replace(listing, identity={**listing.identity, "sources": stamps})
        else:
            listing = _written(corpus, read, folder, shard_tokens, watch)
            listing = replace(
                listing, identity={**asked, "texts": listing.shards[-1].texts, "sources": stamps}
            )
        _require_both(listing, corpus)
        write_listing(folder, listing)
        return listing


def require_same_texts(corpus: Corpus, folder: Path) -> None:
    """Refuse a corpus of other texts than a finished `folder` holds; nothing is written.

    Raises:
        ValueError: They are other texts, or the folder is damaged.
    """
    listing = read_listing(folder)
    if listing.identity["sources"] != _stamps(corpus):
        _compare(Read(corpus, None), listing.shards, folder)


def _written(
    corpus: Corpus, read: TokenIds, folder: Path, shard_tokens: int, watch: Watch | None
) -> Listing:
    """Write the shards that are not there yet."""
    shards = list(written_shards(folder))
    documents = Read(corpus, watch)
    _pass_over(documents, shards, folder)
    documents.resume_pace()
    dtype = dtype_of(read.largest)
    rest = _tokenized(documents, read, corpus.held_out)
    for first in rest:  # is there another document?
        left = chain([first], rest)
        path = folder / shard_name(len(shards))
        shards.append(write_shard(path, left, documents.texts, dtype, shard_tokens))
    documents.tell(end=True)
    parts = parts_of_shards(folder, [shard.name for shard in shards])
    return Listing({}, dtype, read.before, read.after, tuple(shards), parts)


def _tokenized(documents: Read, read: TokenIds, held_out: float) -> Iterator[Tokenized]:
    """The documents that are left, tokenized window by window."""
    for texts in _windows(documents):
        for text, ids in zip(texts, read(texts), strict=True):
            yield Tokenized(text, ids, split_of(text, held_out))


def _windows(documents: Iterator[Document]) -> Iterator[list[str]]:
    texts, size = list[str](), 0
    for document in documents:
        texts.append(document.text)
        size += len(document.text)
        if size >= _WINDOW or len(texts) == _WINDOW_TEXTS:
            yield texts
            texts, size = [], 0
    if texts:
        yield texts


def _pass_over(documents: Read, shards: list[Shard], folder: Path) -> None:
    """Read the texts of finished shards again, and refuse others.

    Raises:
        ValueError: They are other texts.
    """
    for shard in shards:
        for _ in range(shard.documents):
            document = next(documents, None)
            if document is None:
                break
            documents.texts.add(document.text)
        if documents.texts.digest != shard.texts:
            raise ValueError(
                f"{folder} holds the tokens of other texts: they differ within {shard.name}; name "
                "another folder, or remove this one, or change the texts back to use it again"
            )


def _compare(documents: Read, shards: tuple[Shard, ...], folder: Path) -> None:
    """Refuse a corpus that is not the one that a finished folder holds."""
    _pass_over(documents, list(shards), folder)
    if (more := next(documents, None)) is not None:
        raise ValueError(
            f"{folder} holds the tokens of other texts: {more.place} is not among them; name "
            "another folder, or remove this one"
        )
    documents.tell(end=True)


def _stamps(corpus: Corpus) -> list[list[Any]]:
    """Name, size and time of each source file; name and split of a data set of the hub."""
    how = [corpus.text, corpus.documents]
    found: list[list[Any]] = []
    for source in sources(corpus):
        if isinstance(source, str):
            found.append([source, corpus.split, *how])
        else:
            about = source.stat()
            found.append([str(source.resolve()), about.st_size, about.st_mtime_ns, *how])
    return found


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that holds something else than a corpus."""
    if found := contents(folder):
        raise ValueError(
            f"{folder} holds other files ({found[0].name}); name a folder for the tokens of this "
            "corpus alone"
        )


def _require_both(listing: Listing, corpus: Corpus) -> None:
    """Refuse a split that leaves one side empty."""
    train, held_out = listing.documents("train"), listing.documents("held_out")
    if not train or (corpus.held_out and not held_out):
        side, verb = ("held out", "more") if train else ("left to train on", "less")
        raise ValueError(
            f"held_out: of {train + held_out:,} documents none is {side}; hold {verb} out than "
            f"{corpus.held_out:g}, or give more texts"
        )
