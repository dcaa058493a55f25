"""Search a folder that `index_texts` made: by terms, by vectors, by both, ordered by a reranker.

    searcher = Searcher.open("found", reranker="my-cross-encoder")
    searcher.search(["what carries oxygen?"], k=5, rerank=True)      # one list of hits per question

"bm25" finds passages that share rare words with a question, "dense" those whose vectors are close
to its own, and "fused" joins the ranks of both. A reranker then reads the first of them together
with the question, and orders these anew.
"""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from leanformer.core.ranges import Count, check_number
from leanformer.core.technique import nearest
from leanformer.retrieve.embed import Encoder, open_encoder
from leanformer.retrieve.searching.asked import same_encoder
from leanformer.retrieve.searching.description import Description, read_description
from leanformer.retrieve.searching.fusion import Fusion
from leanformer.retrieve.searching.hit import Hit
from leanformer.retrieve.searching.reciprocal_rank_fusion import ReciprocalRankFusion
from leanformer.retrieve.searching.reranking import Reranker, open_reranker
from leanformer.retrieve.searching.view import Found, View
from leanformer.text import check_texts

By = Literal["fused", "dense", "bm25"]
CANDIDATES, RERANKED = 100, 50
"""Passages that each part finds for a fusion, and that a reranker reads, unless more are wanted."""


class Searcher:
    """A folder that is open for searching; any number of threads may search at a time.

    It answers from the version of the folder that it opened, until `refresh` is called.

    Attributes:
        folder: The folder.
        description: What it was made of.
        by: How questions are answered that do not say it.
        encoder: Embeds questions; None where only terms are searched.
        reranker: Reads questions and passages together; None where there is none.
        fusion: Joins the answers of terms and vectors.
    """

    def __init__(
        self,
        folder: Path,
        description: Description,
        by: By,
        encoder: Encoder | None,
        reranker: Reranker | None,
        *,
        fusion: Fusion | None = None,
        threads: int | None = None,
    ) -> None:
        """Open the store and its indexes; see `open`."""
        self.folder, self.description, self.by = folder, description, by
        self.encoder, self.reranker = encoder, reranker
        self.fusion = fusion or ReciprocalRankFusion()
        self._lock = threading.Lock()
        terms = description.bm25 and by != "dense"
        self._view = View.open(folder, dense=encoder is not None, bm25=terms, threads=threads)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        threads: int | None = None,
        reranker: str | Path | Reranker | None = None,
        encoder: str | Path | Encoder | None = None,
        by: By | None = None,
    ) -> "Searcher":
        """Open a folder.

        Args:
            folder: What `index_texts` or `leanformer index` made.
            threads: Threads that embed and rerank; None = all cores.
            reranker: A cross-encoder, or its folder.
            encoder: The model that embedded the passages, where it is not where it was then.
            by: How questions are answered, so that the other parts are not opened; None = "fused"
                where the folder has vectors and terms, otherwise by the one that it has.

        Raises:
            OSError: There is no such folder or model.
            ValueError: A file is damaged, the encoder is another one than that which embedded the
                passages, or the folder lacks what `by` needs.
            ImportError: bm25s or faiss is not installed.
        """
        place = Path(folder).expanduser()
        description = read_description(place)
        chosen = _chosen(place, description, by)
        opened = None
        if description.dense and chosen != "bm25":
            opened = _opened(place, description, encoder, threads)
        if isinstance(reranker, str | Path):
            reranker = open_reranker(reranker, threads=threads)
        return cls(place, description, chosen, opened, reranker, threads=threads)

    def refresh(self) -> None:
        """Answer from the newest version of the folder from now on.

        Searches that have begun end in the version that they began in.

        Raises:
            OSError: A file is missing.
            ValueError: The newest version is damaged, or the folder was made anew in another way.
                The searcher goes on in its own version.
        """
        with self._lock:
            _check_same_parts(self.folder, self.description)
            self._view = self._view.newest()

    @property
    def outdated(self) -> bool:
        """Whether `refresh` would find another version; costs a glance at three files."""
        return self._view.outdated

    @property
    def version(self) -> int:
        """Commits to the store up to the version that is searched."""
        return self._view.snapshot.version

    def __len__(self) -> int:
        """Passages that can be found."""
        return len(self._view.snapshot)

    def search(
        self,
        queries: Iterable[str],
        k: int = 10,
        *,
        by: By | None = None,
        rerank: bool = False,
        where: Mapping[str, Any] | None = None,
        candidates: int = CANDIDATES,
        reranked: int = RERANKED,
    ) -> list[list[Hit]]:
        """The best passages for each question.

        Args:
            queries: The questions.
            k: Passages per question; fewer where fewer are found.
            by: "fused", "dense" or "bm25"; None = as the searcher was opened.
            rerank: Let the reranker order the first passages.
            where: Metadata that passages must have: see `leanformer.retrieve.store`.
            candidates: Passages that each part finds for a fusion, at least `k`.
            reranked: Passages that the reranker reads per question, at least `k`.

        Returns:
            Hits per question, the best first. Equal scores are ordered by rank in the first part,
            so that the same call gives the same hits.

        Raises:
            ValueError: A question is empty or not a string (its index is named), `k` is not at
                least 1, there is no reranker, or the folder lacks what `by` needs.
        """
        questions = check_texts(queries, "queries")
        for name, value in {"k": k, "candidates": candidates, "reranked": reranked}.items():
            check_number(Count, value, name)
        chosen = self._by(by)
        if rerank and self.reranker is None:
            raise ValueError(
                "rerank: the searcher has no reranker; open it with one: "
                "Searcher.open(folder, reranker=…), or leanformer serve --reranker FOLDER"
            )
        limit = max(k, reranked) if rerank else k
        depth = max(limit, candidates) if chosen == "fused" else limit
        lists = self._found(self._view, questions, depth, chosen, where)
        ordered = [self._order(parts, chosen)[:limit] for parts in lists]
        hits = [[found.hit() for found in one] for one in ordered]
        if rerank:
            hits = [self._rerank(*pair) for pair in zip(questions, hits, strict=True)]
        return [one[:k] for one in hits]

    def _by(self, by: By | None) -> By:
        chosen = self.by if by is None else _chosen(self.folder, self.description, by)
        if self.by not in ("fused", chosen):
            raise ValueError(
                f"by: this searcher was opened for {self.by!r} only; open another one, or leave "
                "`by` out of Searcher.open"
            )
        return chosen

    def _found(
        self,
        view: View,
        questions: list[str],
        depth: int,
        by: By,
        where: Mapping[str, Any] | None,
    ) -> list[list[list[Found]]]:
        """What each part finds: question -> part -> passages, the best first."""
        parts = []
        if by != "dense":
            parts.append(view.by_terms(questions, depth, where))
        if by != "bm25" and questions:
            assert self.encoder is not None
            queries_QD = self.encoder.encode(questions, prompt=self.encoder.prompt_for("query"))
            parts.append(view.by_vectors(queries_QD, depth, where))
        return [list(one) for one in zip(*parts, strict=True)]

    def _order(self, parts: list[list[Found]], by: By) -> list[Found]:
        """The passages of all parts, the best first, each with all its scores."""
        if by != "fused":
            return parts[0]
        merged: dict[str, Found] = {}
        for found in (one for part in parts for one in part):
            merged[found.key] = found.beside(merged.get(found.key))
        scores = self.fusion.fuse([[found.key for found in part] for part in parts])
        return [merged[key].scored("fused", score) for key, score in scores.items()]

    def _rerank(self, question: str, hits: list[Hit]) -> list[Hit]:
        assert self.reranker is not None
        scores = self.reranker.scores(question, [hit.text for hit in hits]).tolist()
        pairs = sorted(zip(scores, hits, strict=True), key=lambda pair: -pair[0])
        return [
            Hit(hit.key, score, hit.text, hit.metadata, hit.scores | {"rerank": score})
            for score, hit in pairs
        ]


def _chosen(folder: Path, description: Description, by: By | None) -> By:
    """How questions are answered.

    Raises:
        ValueError: There is no such way, or the folder lacks what it needs.
    """
    if by is None:
        return "fused" if description.dense and description.bm25 else _only(description)
    ways = list(get_args(By))
    if by not in ways:
        raise ValueError(f"by: {by!r} is not one of {', '.join(ways)}{nearest(by, ways)}")
    if by != "bm25" and not description.dense:
        raise ValueError(
            f"by: {by!r} needs vectors, and {folder} was made without; search by 'bm25', or index "
            "the texts with --encoder"
        )
    if by != "dense" and not description.bm25:
        raise ValueError(
            f"by: {by!r} needs terms, and {folder} was made with --no-bm25; search by 'dense'"
        )
    return by


def _only(description: Description) -> By:
    return "dense" if description.dense else "bm25"


def _check_same_parts(folder: Path, former: Description) -> None:
    """Refuse a folder that was made anew, so that what is open does not fit it.

    Raises:
        ValueError: Its vectors are of another encoder, or one of its parts has come or gone.
    """
    made = read_description(folder)
    for name in ("identity", "bm25"):
        was, now = getattr(former, name), getattr(made, name)
        if was != now:
            raise ValueError(
                f"{folder} was made anew: {name} was {was!r} and is {now!r}; open it again"
            )


def _opened(
    folder: Path,
    description: Description,
    given: str | Path | Encoder | None,
    threads: int | None,
) -> Encoder:
    """The encoder of a folder.

    Raises:
        OSError: It is not where it was.
        ValueError: It is another one.
    """
    if not isinstance(given, Encoder):
        source = given or description.encoder
        if not source:
            raise ValueError(
                f"{folder}: the encoder that made its vectors is not recorded; give it: encoder"
            )
        try:
            given = open_encoder(source, threads=threads)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{folder}: its encoder cannot be opened ({error}); where it was moved, name it "
                "(--encoder), or search by terms (--by bm25)"
            ) from error
    same_encoder(folder, description, given)
    return given
