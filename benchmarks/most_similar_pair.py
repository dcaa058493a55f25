"""The most similar pair of n sentences: a cross-encoder on all pairs, or a bi-encoder and an index.

    python benchmarks/most_similar_pair.py clock      (on a quiet machine! some 7 minutes)
    python benchmarks/most_similar_pair.py page       (writes docs/results/most-similar-pair.md)

The sentences are STS-B's. A cross-encoder of MiniLM's shape scores a sample of the n (n - 1) / 2
pairs, or all of them where they are few; its time for all pairs is the sample's, times their
number. The bi-encoder is MiniLM; it encodes all n sentences, and an exact index finds the nearest
neighbor of each. Both are measured in sentence-transformers (PyTorch, fp32, as it opens a model)
and in leanformer (OpenVINO, bf16 where the processor multiplies bf16 numbers).
"""

import argparse
import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from embedding_systems import PLACE, Encode, cross_encoders, fast_encoder
from embedding_texts import sentences
from most_similar_pair_page import MEASURED, write_page
from rivals_sets import MINILM

from leanformer.core.record import Record
from leanformer.measure.environment import environment
from leanformer.measure.interleave import Call, timed
from leanformer.retrieve.indexes.exact import Exact

SIZES = (100, 300, 1_000, 3_000, 10_000)
WHOLE, SAMPLE = 5_000, 512  # pairs that are all scored; pairs of a sample
Pair = tuple[float, int, int]
Find = Callable[[np.ndarray], Pair]
NEAR = 0.01  # by which scores of the found pairs may differ between precisions


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["clock", "page"])
    parser.add_argument("--tiny", action="store_true", help="12 and 20 sentences, to try it out")
    parser.add_argument("--out", type=Path, default=MEASURED, help="the record")
    asked = parser.parse_args()
    if asked.what == "page":
        write_page(asked.out)
    else:
        clock(MINILM, asked.out, **({"sizes": (12, 20), "whole": 100} if asked.tiny else {}))


def clock(
    model: str,
    out: Path,
    *,
    sizes: Sequence[int] = SIZES,
    whole: int = WHOLE,
    texts: list[str] | None = None,
    place: Path = PLACE,
) -> None:
    """Measure each size and write it to the record."""
    texts = sentences() if texts is None else texts
    scorers = cross_encoders(model, texts[:256], place / "cross-encoder")
    finders = bi_encoders(model, texts[:256], place / "bi-encoder")
    for call in scorers.values():
        call(texts[:16], texts[16:32])
    for encode, find in finders.values():
        find(encode(texts[:32]))
    for size in sizes:
        chosen, pairs = random.Random(size).sample(texts, size), some_pairs(size, whole)
        row: dict[str, Any] = {"n": size, "pairs": size * (size - 1) // 2}
        first, second = ([chosen[pair[side]] for pair in pairs] for side in (0, 1))
        for name, score in scorers.items():
            took = timed(partial(score, first, second))
            row[f"cross-encoder {name}"] = {"scored": len(pairs), **told(took)}
        best: list[Pair] = []
        for name, (encode, find) in finders.items():
            encoding, vectors_ND = kept(partial(encode, chosen))
            finding, pair = kept(partial(find, vectors_ND))
            row[f"bi-encoder {name}"] = {"encoding": told(encoding), "finding": told(finding)}
            best.append(pair)
        scores = [pair[0] for pair in best]
        assert max(scores) - min(scores) < NEAR, f"the systems find different pairs: {best}"
        row["cosine"] = scores[-1]
        Record(out).write("pair", **row, environment=environment())


def kept(call: Callable[[], Any]) -> tuple[Call, Any]:
    """The time of a call, and what it gave."""
    found: list[Any] = []
    took = timed(lambda: found.append(call()))
    return took, found[0]


def some_pairs(size: int, whole: int = WHOLE) -> list[tuple[int, int]]:
    """All pairs where there are at most `whole`, else a sample of them."""
    if size * (size - 1) // 2 <= whole:
        return list(combinations(range(size), 2))
    rng = random.Random(size)
    return [(a, b) for a, b in (rng.sample(range(size), 2) for _ in range(SAMPLE))]


def bi_encoders(model: str, texts: list[str], place: Path) -> dict[str, tuple[Encode, Find]]:
    """How each library encodes, and how it finds the most similar pair of the vectors."""
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(model, device="cpu")

    def encode(chosen: Sequence[str]) -> np.ndarray:
        return theirs.encode(list(chosen), show_progress_bar=False)  # type: ignore[no-any-return]

    return {
        "sentence-transformers": (encode, by_semantic_search),
        "leanformer": (fast_encoder(model, texts, place), by_index),
    }


def by_index(vectors_ND: np.ndarray) -> Pair:
    """The most similar pair by an exact index: each row's nearest neighbor but itself."""
    scores_N2, rows_N2 = Exact().build(vectors_ND).search(vectors_ND, 2)
    other_N2 = np.where(rows_N2 == np.arange(len(vectors_ND))[:, None], -np.inf, scores_N2)
    row, place = np.unravel_index(int(other_N2.argmax()), other_N2.shape)
    return float(other_N2[row, place]), int(row), int(rows_N2[row, place])


def by_semantic_search(vectors_ND: np.ndarray) -> Pair:
    """The same by `sentence_transformers.util.semantic_search`."""
    from sentence_transformers.util import semantic_search

    found = semantic_search(vectors_ND, vectors_ND, top_k=2)
    return max(
        (hit["score"], row, hit["corpus_id"])
        for row, hits in enumerate(found)
        for hit in hits
        if hit["corpus_id"] != row
    )


def told(call: Call) -> dict[str, float]:
    """A timed call for the record."""
    return {"seconds": call.wall, "cpu": call.cpu, "clean": call.clean}


if __name__ == "__main__":
    main()
