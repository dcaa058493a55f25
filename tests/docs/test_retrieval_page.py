"""The benchmark of retrieval: its collections, and its page from rows."""

import gzip
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from leanformer.core.record import Record

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports a script of `benchmarks/`."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def packed(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt") as stream:
        stream.write(text)


def test_cranfield_counts_its_questions_and_turns_its_grades_round(benchmark, tmp_path):
    place = tmp_path / "retrieval" / "cranfield"
    packed(place / "cran.all.1400.gz", ".I 1\n.T\na\n.W\na wing\nlifts\n.I 2\n.T\n.W\n")
    packed(place / "cran.qry.gz", ".I 001\n.W\nwhat lifts ?\n.I 004\n.W\nwhat burns ?\n")
    packed(place / "cranqrel.gz", "1 1 1 \n1 2 -1\n2 1 4\n")
    given = benchmark("retrieval_sets").cranfield(tmp_path)
    assert given.passages == {"1": "a wing lifts"}
    assert given.questions == {"1": "what lifts ?", "2": "what burns ?"}
    assert given.judgments == {"1": {"1": 4.0, "2": 0.0}, "2": {"1": 1.0}}


def test_questions_of_xquad_are_held_out_by_article(benchmark, tmp_path):
    articles = [
        {"paragraphs": [{"context": f"c{n}", "qas": [{"id": f"q{n}", "question": f"?{n}"}]}]}
        for n in range(4)
    ]
    packed(tmp_path / "qa" / "xquad_en" / "xquad.en.json.gz", json.dumps({"data": articles}))
    sets = benchmark("retrieval_sets")
    every, held = sets.xquad(False, tmp_path), sets.xquad(True, tmp_path)
    trained = sets.xquad(False, tmp_path, trained=True)
    assert len(every.passages) == len(held.passages) == len(trained.passages) == 4
    assert set(every.questions) == {"q0", "q1", "q2", "q3"}
    assert set(held.questions) == {"q1", "q3"}
    assert set(trained.questions) == {"q0", "q2"}
    assert held.judgments == {"q1": {"1-0": 1.0}, "q3": {"3-0": 1.0}}


def event(system, each, data="cranfield"):
    value = float(np.mean(each))
    quality = {"ndcg@10": value, "mrr@10": value}
    fields = {"questions": len(each), "passages": 9, "each": each, "environment": {"cpu": "x"}}
    return {"data": data, "system": system, "quality": quality, **fields}


def test_the_page_has_differences_with_intervals_and_the_bar(benchmark, tmp_path):
    page = benchmark("retrieval_page")
    base = [0.5, 1.0, 0.2, 0.7] * 30
    record = Record(tmp_path / "r.jsonl")
    for one in (
        event("bi-encoder", base),
        event("bm25", [value - 0.1 for value in base]),
        event("student", [0.0] * 120),
        event("student", [value * 0.99 for value in base]),
        event("bm25", [1.0], data="xquad"),
    ):
        record.write("run", **one)
    page.write_page(tmp_path / "r.jsonl", tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    assert "| BM25 | 0.500 | 0.500 | -0.100 [-0.100, -0.100] |" in text
    assert "| bi-encoder (MiniLM-L6) | 0.600 | 0.600 | – |" in text
    assert "On Cranfield 99.0% of the bi-encoder's nDCG@10 (bar: at least 98%, met)" in text
    assert "9 passages, 1 questions." in text


def test_an_interval_is_that_of_the_mean(benchmark):
    rng = np.random.default_rng(1)
    low, high = benchmark("retrieval_page").interval(rng.normal(0.3, 1, 400))
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.1)


def test_each_system_finds_and_a_reranker_orders_the_first_anew(benchmark):
    from search_cases import Longest, WordHashes

    retrieval, sets = benchmark("retrieval"), benchmark("retrieval_sets")
    given = sets.Collection(
        {"a": "iron rusts", "b": "iron and oxygen burn", "c": "parcels"},
        {"q": "iron rusts"},
        {"q": {"a": 1.0}},
    )
    terms = retrieval.by_terms(given)
    vectors = retrieval.by_vectors(given, WordHashes())
    assert [name for name, _ in terms["q"]] == ["a", "b"]
    assert [name for name, _ in vectors["q"]][:2] == ["a", "b"]
    assert retrieval.fused(terms, vectors)["q"][0][0] == "a"
    anew = retrieval.ordered_anew(given, vectors, Longest())["q"]
    assert [name for name, _ in anew] == ["b", "a", "c"]
    found = retrieval.judged(given, anew and {"q": anew})
    assert found["quality"]["mrr@10"] == 0.5
    assert found["each"] == [pytest.approx(1 / np.log2(3), abs=1e-6)]
