"""What a folder can answer over HTTP: an exported system, or a search index.

Both give the batcher one function, `answer(group, texts)`, and say of a request how many tokens it
has before anything is computed. A model's texts are tokenized once: they are queued as they were
read.
"""

import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from leanformer.core.machine.threads import cores
from leanformer.runtime.manifest import NAME
from leanformer.runtime.prepared import Prepared
from leanformer.runtime.serving.predictor import Predictor, load
from leanformer.serve.errors import Refused
from leanformer.serve.settings import Settings

if TYPE_CHECKING:
    from leanformer.retrieve.searching import Searcher
    from leanformer.retrieve.searching.searcher import By

_log = logging.getLogger(__name__)

SEARCH = "search.json"
_BYTES_PER_TOKEN = 4  # of a query, about; only the size of batches depends on it


class Served(ABC):
    """An open folder.

    Attributes:
        name: Model name in answers and requests.
        task: Its task: a name of `leanformer.tasks`, or "search".
        concurrency: Batches that it computes at a time.
    """

    name: str
    task: str
    concurrency: int = 1

    @property
    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What /v1/models says of it."""

    @property
    @abstractmethod
    def routes(self) -> tuple[str, ...]:
        """Which of predict, embeddings, rerank and search it answers."""

    @abstractmethod
    def answer(self, group: Hashable, given: list[Any]) -> list[Any]:
        """Compute a batch: one answer per text. Any thread may call it."""


@dataclass(frozen=True)
class Given:
    """A text of a request, read once and queued.

    Attributes:
        text: The text, or the first one of a pair.
        prepared: What the system read of it, or of the pair.
    """

    text: str
    prepared: Prepared

    @property
    def tokens(self) -> int:
        """Tokens that are read; of a system without a tokenizer, words."""
        return self.prepared.length


class Model(Served):
    """An exported system: a text, or a pair of texts, is answered in the words of its task.

    Attributes:
        predictor: The open system.
        widths: Widths of vectors that a request may ask for, the whole one last; () = no vectors.
    """

    def __init__(
        self, predictor: Predictor, name: str, *, concurrency: int = 1, widths: Sequence[int] = ()
    ) -> None:
        """Serve an open system."""
        self.predictor, self.name, self.task = predictor, name, predictor.manifest.kind
        self.concurrency, self.widths = concurrency, tuple(widths)
        self.pairs = predictor.manifest.pairs

    @property
    def about(self) -> dict[str, Any]:
        """See `Served.about`."""
        about = self.predictor.manifest
        return {
            "task": about.kind,
            "system": about.system,
            "backend": about.backend,
            "precision": about.precision,
            "max_tokens": self.predictor.system.max_length,
            "pairs": about.pairs,
        }

    @property
    def routes(self) -> tuple[str, ...]:
        """See `Served.routes`: a ranking model reranks, and so does one of similar pairs."""
        if self.predictor.about.output == "vector":
            return ("embeddings",)
        reranks = self.pairs and self.task in ("ranking", "regression")
        return ("predict", "rerank") if reranks else ("predict",)

    def prepare(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, truncate: bool = True
    ) -> list[Given]:
        """Each text as it is queued, read and with its length in tokens.

        Raises:
            ValueError: One cannot be read, or is too long where `truncate` is false.
        """
        prepared = self.predictor.prepare(texts, pairs, truncate=truncate)
        return [Given(text, one) for text, one in zip(texts, prepared, strict=True)]

    def answer(self, group: Hashable, given: list[Any]) -> list[Any]:
        """See `Served.answer`: vectors, or answers as JSON; of a cascade with their part's name."""
        texts, prepared = [one.text for one in given], [one.prepared for one in given]
        named = bool(self.predictor.system.sources)
        found = self.predictor.answer_prepared(texts, prepared, sources=named)
        if self.widths:
            if not np.isfinite(np.stack(found)).all():
                raise ValueError("a vector is not finite")
            return found
        plain = self.predictor.about.plain
        if not named:
            return [_finite(plain(one)) for one in found]
        return [{**_finite(plain(one.answer)), "source": one.source} for one in found]


def _finite(answer: Any) -> Any:
    """`answer`, whose numbers JSON can hold.

    Raises:
        ValueError: One is not finite, which is a fault of the model.
    """
    if isinstance(answer, float) and not math.isfinite(answer):
        raise ValueError(f"an answer holds {answer}")
    if isinstance(answer, dict | list):
        for value in answer.values() if isinstance(answer, dict) else answer:
            _finite(value)
    return answer


@dataclass(frozen=True)
class Asked:
    """What queries of one batch have in common.

    Attributes:
        k: Hits per query.
        by: "fused", "dense", "bm25", or None = by all that the index holds.
        rerank: Whether a cross-encoder orders the hits.
        where: The filter on metadata, as JSON.
    """

    k: int
    by: str | None
    rerank: bool
    where: str


class Index(Served):
    """A search index: a query is answered with passages."""

    task = "search"

    def __init__(self, searcher: "Searcher", name: str, *, concurrency: int = 1) -> None:
        """Serve an open index, in the version that it was opened in until `follow` is called."""
        self.searcher, self.name, self.concurrency = searcher, name, concurrency
        self._refused = ""

    @property
    def about(self) -> dict[str, Any]:
        """See `Served.about`: the version that is searched, and how many passages it has."""
        searcher = self.searcher
        return {"task": "search", "version": searcher.version, "passages": len(searcher)}

    @property
    def routes(self) -> tuple[str, ...]:
        """See `Served.routes`."""
        return ("search",)

    def follow(self) -> bool:
        """Go over to the newest version if there is another one; say whether this was done.

        A version that cannot be read is logged, once for each reason, and passed over.
        """
        try:
            if not self.searcher.outdated:
                return False
            self.searcher.refresh()
        except Exception as error:
            if str(error) != self._refused:
                _log.warning("%s is served on in its former version: %s", self.name, error)
            self._refused = str(error)
            return False
        self._refused = ""
        return True

    def lengths(self, queries: Sequence[str]) -> list[int]:
        """Tokens of each query, about."""
        return [1 + len(query.encode(errors="replace")) // _BYTES_PER_TOKEN for query in queries]

    def answer(self, group: Hashable, given: list[Any]) -> list[Any]:
        """See `Served.answer`: the hits of each query, as the searcher gives them."""
        from leanformer.retrieve.store.layout import Damaged

        assert isinstance(group, Asked)
        where = json.loads(group.where)
        try:
            found = self.searcher.search(
                given, group.k, by=cast("By | None", group.by), rerank=group.rerank, where=where
            )
        except Damaged:
            raise
        except ValueError as error:  # a filter, or a way to search, that this index does not have
            raise Refused(400, str(error)) from error
        return list(found)


def open_served(folder: Path, settings: Settings) -> Model | Index:
    """Open what `folder` holds.

    Raises:
        FileNotFoundError: It holds neither an exported system nor a search index.
        ValueError: A file is damaged, or a setting does not fit.
        ImportError: What it needs is not installed.
    """
    name = settings.name or folder.resolve().name
    threads, concurrency, _ = settings.shares(cores())
    if is_index(folder):
        from leanformer.retrieve.searching import Searcher

        index = Searcher.open(folder, threads=threads, reranker=settings.reranker)
        return Index(index, name, concurrency=concurrency)
    if settings.reranker is not None:
        raise ValueError(f"reranker: {folder} is not a search index; leave the reranker out")
    predictor = load(folder, settings.backend, threads, concurrency=concurrency)
    widths: tuple[int, ...] = ()
    if predictor.about.output == "vector":
        widths = _widths(folder, settings, predictor.encode(["width"]).shape[1])
    elif settings.dimensions:
        raise ValueError("dimensions: this model makes no embeddings; leave them out")
    return Model(predictor, name, concurrency=concurrency, widths=widths)


def is_index(folder: Path) -> bool:
    """Whether `folder` is a search index.

    Raises:
        FileNotFoundError: It is neither that nor an exported system.
    """
    if (folder / SEARCH).is_file():
        return True
    if not (folder / NAME).is_file():
        raise FileNotFoundError(
            f"{folder} has neither {NAME} nor {SEARCH}: give a folder that `leanformer compress` "
            "exported or that `leanformer index` made"
        )
    return False


def _widths(folder: Path, settings: Settings, whole: int) -> tuple[int, ...]:
    """Widths that requests may ask for, the whole vector's last."""
    from leanformer.models.io.read_modules import read_embedding

    known = {*settings.dimensions, *read_embedding(folder)[0].widths}
    if wrong := [one for one in known if not 0 < one <= whole]:
        raise ValueError(f"dimensions: {wrong[0]!r} is not between 1 and {whole}, the whole vector")
    return (*sorted(known - {whole}), whole)
