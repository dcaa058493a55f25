"""Hard negatives: texts that a searcher finds for a query, and that do not answer it.

    candidates    the k texts that any searcher finds (BM25, an index, another encoder)
    known         positives of the query, and the query's own text, are no negatives
    margin        a candidate that scores nearly as high as the positive may be one that nobody
                  labeled: it is left out where   t(q, c) > t(q, p) - margin,
                  or, relatively,                 t(q, c) > (1 - margin) t(q, p)

Of what is left the first ones are kept: the hardest.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leanformer.core.shown import shown
from leanformer.data.relations import Relations

Search = Callable[[Sequence[str], int], Sequence[Sequence[int]]]
"""`(queries, k) -> rows`: for each query the rows of the k texts that are found, best first; -1
where there are fewer."""
Score = Callable[[Sequence[tuple[str, str]]], Sequence[float] | NDArray[np.float32]]
"""`pairs -> scores`: how well each text answers its query, such as a cross-encoder says."""


def mine_hard_negatives(
    relations: Relations,
    texts: Sequence[str],
    search: Search,
    *,
    score: Score | None = None,
    negatives: int = 4,
    k: int = 50,
    skip: int = 0,
    margin: float = 0.0,
    relative: bool = False,
) -> Relations:
    """The same tuples with negatives that were found by `search`.

    Args:
        relations: Queries and the texts that belong to them. Negatives that are there stay, and
            count.
        texts: What is searched; `search` gives rows of it.
        search: The searcher.
        score: Judges candidates and positives for the margin, and its scores are kept: those of a
            cross-encoder are what margin-mse and listwise-kl learn. None = there is no margin.
        negatives: Negatives of each tuple, at most.
        k: Texts that are asked for per query.
        skip: The first candidates that are left out, which are often right without being known.
        margin: How far below the positive's a candidate's score has to be.
        relative: Whether the margin is a share of the positive's score, which must be positive.

    Returns:
        The tuples; those for which nothing is left have fewer negatives, or none.

    Raises:
        ValueError: Numbers are out of range, a row is not one of `texts`, there is a margin and
            nothing scores, or a margin is relative and a positive's score is not above 0.
    """
    _check(negatives, k, skip, margin, score)
    queries = list(dict.fromkeys(relations.anchors))
    known = _known(relations)
    found = dict(zip(queries, _found(queries, texts, search, k), strict=True))
    candidates = {
        query: [text for text in found[query] if text not in known[query]][skip:]
        for query in queries
    }
    scores = {} if score is None else _scored(relations, candidates, score)
    rows = []
    for query, positive, own in zip(
        relations.anchors, relations.positives, relations.negatives, strict=True
    ):
        left = [text for text in candidates[query] if text not in own]
        if score is not None:
            limit = _limit(query, positive, scores[query, positive], margin, relative)
            left = [text for text in left if scores[query, text] <= limit]
        rows.append((*own, *left)[: max(negatives, len(own))])
    mined = replace(relations, negatives=tuple(rows), scores=None)
    return mined if score is None else _with_scores(mined, scores, score)


def _with_scores(mined: Relations, scores: dict[tuple[str, str], float], score: Score) -> Relations:
    """The tuples with the scores of their candidates; those that are not known yet are asked."""
    pairs = [
        [(anchor, text) for text in mined.candidates(row)]
        for row, anchor in enumerate(mined.anchors)
    ]
    missing = dict.fromkeys(pair for own in pairs for pair in own if pair not in scores)
    known = scores | _asked(list(missing), score)
    return replace(mined, scores=tuple(tuple(known[pair] for pair in own) for own in pairs))


def _check(negatives: int, k: int, skip: int, margin: float, score: Score | None) -> None:
    if negatives < 1 or k < 1 or skip < 0 or margin < 0:
        raise ValueError(
            f"negatives = {negatives}, k = {k}, skip = {skip}, margin = {margin}: the first two "
            "are at least 1, the others at least 0"
        )
    if margin and score is None:
        raise ValueError("margin: nothing scores the candidates; give score, or margin = 0")


def _limit(query: str, positive: str, best: float, margin: float, relative: bool) -> float:
    """The highest score that a negative may have.

    Raises:
        ValueError: A share of a score was asked for that is not positive.
    """
    if relative and best <= 0:
        raise ValueError(
            f"relative: {shown(positive)} scores {best:g} for {shown(query)}, and a share of that "
            "is not below it; give a score above 0, such as a probability, or relative = False"
        )
    return best * (1 - margin) if relative else best - margin


def _known(relations: Relations) -> dict[str, set[str]]:
    """The texts that are no negatives of each query."""
    known: dict[str, set[str]] = {}
    for anchor, positive in zip(relations.anchors, relations.positives, strict=True):
        known.setdefault(anchor, {anchor}).add(positive)
    return known


def _found(queries: list[str], texts: Sequence[str], search: Search, k: int) -> list[list[str]]:
    """The different texts that are found for each query, best first."""
    found = []
    for rows in search(queries, k):
        if strange := [int(row) for row in rows if not -1 <= row < len(texts)]:
            raise ValueError(
                f"search: row {strange[0]} is not one of the {len(texts)} texts; give the texts "
                "that the searcher knows, in its order"
            )
        found.append(list(dict.fromkeys(texts[int(row)] for row in rows if row >= 0)))
    return found


def _scored(
    relations: Relations, candidates: dict[str, list[str]], score: Score
) -> dict[tuple[str, str], float]:
    """The scores of all positives and candidates."""
    pairs = dict.fromkeys(zip(relations.anchors, relations.positives, strict=True))
    pairs |= dict.fromkeys((query, text) for query, own in candidates.items() for text in own)
    return _asked(list(pairs), score)


def _asked(pairs: list[tuple[str, str]], score: Score) -> dict[tuple[str, str], float]:
    if not pairs:
        return {}
    return dict(zip(pairs, map(float, score(pairs)), strict=True))
