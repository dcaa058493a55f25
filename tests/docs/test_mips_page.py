"""`benchmarks/mips.py` on tiny vectors, and its page on made-up rows."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanformer.core.record import read

pytest.importorskip("faiss")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def test_the_clock_writes_what_makes_a_page_and_goes_on(benchmarks: Any, tmp_path: Path) -> None:
    out, mips = tmp_path / "mips.jsonl", benchmarks("mips")
    mips.clock(out, tiny=True)
    events = read(out)
    assert [event["event"] for event in events] == ["growth"] * 6 + ["advice"]
    mips.clock(out, tiny=True)
    assert len(read(out)) == len(events)
    text = benchmarks("mips_page").page(events)
    assert "| 600 | hnsw |" in text
    assert "- hnsw: latency grows as N^" in text
    assert "## The adviser's choice at 600 vectors" in text
    assert text.count("**adviser**") <= 1


def test_the_exponent_and_its_bar(benchmarks: Any) -> None:
    page = benchmarks("mips_page")
    assert page.exponent([(n, 3e-6 * n**0.5) for n in (100, 1000, 10_000)]) == pytest.approx(0.5)
    assert page.exponent([(100, 1.0)]) is None
    rows = [
        {"event": "growth", "vectors": n, "real": 5_000, "index": "hnsw", "met": True,
         "latency": {"value": 1e-6 * n**power, "low": 1e-6, "high": 1e-3}, "recall": 0.95,
         "build_seconds": 1.0, "size_bytes": 2**20, "environment": {"cpu": "made-up"}}
        for n, power in ((1_000, 0.7), (100_000, 0.7))
    ]  # fmt: skip
    text = page.page(rows)
    assert "N^0.70 (bar: below 0.6; **missed**)" in text
    assert "Up to 5,000 vectors are MiniLM's embeddings of real texts" in text


def test_vectors_beyond_the_texts_are_noised_copies(benchmarks: Any, tmp_path: Path) -> None:
    made = benchmarks("mips_vectors")
    with pytest.raises(FileNotFoundError, match="nothing embedded"):
        made.vectors(10, tmp_path)
    rng = np.random.default_rng(1)
    real = rng.standard_normal((made.QUERIES + 200, 384)).astype(np.float32)
    real /= np.linalg.norm(real, axis=1, keepdims=True)
    for start in (0, 700):
        np.save(
            tmp_path / f"{start:08}.npy", real[start : start + 700] if not start else real[700:]
        )
    rows, queries, kept = made.vectors(500, tmp_path)
    assert (rows.shape, queries.shape, kept) == ((500, 384), (made.QUERIES, 384), 200)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    cosines = (rows[200:] @ rows[:200].T).max(1)
    assert cosines.mean() == pytest.approx(1 / np.sqrt(1 + made.NOISE**2), abs=0.02)
