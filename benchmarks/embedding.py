"""How fast MiniLM and a compressed encoder embed mixed texts on a CPU, and how good they are.

    python benchmarks/embedding.py clock --student DIR    (on a quiet machine! some 7 minutes)
    python benchmarks/embedding.py page                   (writes docs/results/embedding.md)

MiniLM is run by every CPU backend that works for its users: sentence-transformers in fp32 and,
where the processor multiplies bf16 numbers, bf16; leanformer's PyTorch, OpenVINO and ONNX Runtime
in fp32, bf16 and int8. The student is a folder that leanformer exported, or any embedding model,
which is exported to OpenVINO in int8 and in bf16, or in fp32 where there is no bf16.
All systems embed the same 400 texts of mixed length in turn: sentences of STS-B, paragraphs of
XQuAD, abstracts of Cranfield. Beside the speed stand Spearman's correlation on STS-B's test split
and nDCG@10 on Cranfield.
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from embedding_page import MEASURED, write_page
from embedding_systems import EXPORTS, PLACE, STUDENT, Encode, encoders, students
from embedding_texts import Pairs, mixed_texts, stsb
from retrieval_sets import Collection, collection
from rivals_sets import MINILM
from scipy.stats import spearmanr

from leanformer.core.record import Record
from leanformer.measure.environment import environment
from leanformer.measure.interleave import interleave
from leanformer.numerics.metrics.ranking import Ndcg
from leanformer.retrieve.indexes.exact import Exact
from leanformer.retrieve.searching.judging.evaluation import quality as judged_by

TEXTS, ROUNDS, TOP = 400, 5, 100
REFERENCE = "leanformer pytorch fp32"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["clock", "page"])
    parser.add_argument("--student", type=Path, help="folder of the compressed encoder")
    parser.add_argument("--tiny", action="store_true", help="24 texts, one round, to try it out")
    parser.add_argument("--out", type=Path, default=MEASURED, help="the record")
    asked = parser.parse_args()
    if asked.what == "page":
        write_page(asked.out)
        return
    if asked.student is None:
        parser.error("--student: name the folder of the compressed encoder")
    pairs, searched = stsb(), collection("cranfield")
    if asked.tiny:
        pairs = Pairs(first=pairs.first[:40], second=pairs.second[:40], scores=pairs.scores[:40])
        searched = Collection(
            dict(islice(searched.passages.items(), 60)),
            dict(islice(searched.questions.items(), 4)),
            dict(islice(searched.judgments.items(), 4)),
        )
    texts = mixed_texts(24 if asked.tiny else TEXTS)
    clock(
        MINILM,
        asked.student,
        texts,
        pairs,
        searched,
        asked.out,
        rounds=1 if asked.tiny else ROUNDS,
    )


def clock(
    model: str,
    student: Path,
    texts: list[str],
    pairs: Pairs,
    searched: Collection,
    out: Path,
    *,
    rounds: int = ROUNDS,
    exports: Any = EXPORTS,
    place: Path = PLACE / "bi-encoder-all",
) -> None:
    """Time all systems in turn, judge each kind of numbers once, and write it to the record.

    Backends that compute in the same precision without quantization have the same quality; it is
    judged once, with the fastest of them.
    """
    systems = encoders(model, texts[:128], place, exports=exports)
    systems |= students(student, texts[:128], place.with_name("student"))
    sample = systems[REFERENCE](texts[:32])
    calls: dict[str, Callable[[], object]] = {
        name: partial(encode, texts) for name, encode in systems.items()
    }
    timings = interleave(calls, rounds=rounds, warmup=1)
    seconds = {name: timing.seconds().value for name, timing in timings.items()}
    judged: dict[str, dict[str, float]] = {}
    for name in sorted(systems, key=seconds.__getitem__):
        numbers = _numbers(name)
        if numbers not in judged:
            judged[numbers] = quality(systems[name], pairs, searched)
        Record(out).write(
            "encoder",
            system=name,
            texts=len(texts),
            rate=timings[name].rate(len(texts)),
            contended=timings[name].contended,
            agreement=None
            if name.startswith(STUDENT)
            else agreement(sample, systems[name](texts[:32])),
            **judged[numbers],
            environment=environment(),
        )


def _numbers(system: str) -> str:
    """What decides the quality of a system: fp32 and bf16 are the same in every backend."""
    exact = system.endswith(("fp32", "bf16")) and not system.startswith(STUDENT)
    return system.rpartition(" ")[2] if exact else system


def agreement(first_ND: np.ndarray, second_ND: np.ndarray) -> float:
    """The lowest cosine of two systems' vectors of one text."""
    return float(_cosines(first_ND, second_ND).min())


def quality(encode: Encode, pairs: Pairs, searched: Collection) -> dict[str, float]:
    """Spearman's correlation on pairs, and nDCG@10 of a search among passages."""
    unique = list(dict.fromkeys([*pairs.first, *pairs.second]))
    row_of = {text: row for row, text in enumerate(unique)}
    vectors = encode(unique)
    first, second = (
        vectors[[row_of[text] for text in side]] for side in (pairs.first, pairs.second)
    )
    return {
        "stsb_spearman": float(spearmanr(_cosines(first, second), pairs.scores).statistic),
        "cranfield_ndcg": ndcg(
            encode(list(searched.passages.values())),
            encode(list(searched.questions.values())),
            searched,
        ),
    }


def ndcg(passages_ND: np.ndarray, questions_QD: np.ndarray, searched: Collection) -> float:
    """nDCG@10 of the exact search of each question, averaged over questions."""
    names, keys = list(searched.passages), list(searched.questions)
    scores_QK, rows_QK = Exact().build(passages_ND).search(questions_QD, min(TOP, len(names)))
    run = {
        key: [(names[row], float(score)) for row, score in zip(rows_K, scores_K, strict=True)]
        for key, rows_K, scores_K in zip(keys, rows_QK, scores_QK, strict=True)
    }
    return judged_by(Ndcg(k=10), run, searched.judgments)


def _cosines(first_ND: np.ndarray, second_ND: np.ndarray) -> np.ndarray:
    lengths_N = np.linalg.norm(first_ND, axis=1) * np.linalg.norm(second_ND, axis=1)
    return (first_ND * second_ND).sum(1) / lengths_N  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
