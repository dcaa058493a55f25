"""The benchmarks of pre-training: their pages from rows, and the search for the largest batch."""

import importlib
from pathlib import Path

import pytest

from leanformer.core.record import Record

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports a script of `benchmarks/`."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def clock(kind, system, pair, seconds, loss=4.0):
    return {
        "kind": kind,
        "system": system,
        "pair": pair,
        "seconds": seconds,
        "loss": loss,
        "tokens": 100,
    }


def test_the_ratio_is_over_the_faster_rival_pair_by_pair(benchmark):
    events = [
        *(clock("masked-lm", "leanformer", pair, 1.0) for pair in range(3)),
        *(clock("masked-lm", "Trainer, sdpa", pair, 1.2 + 0.1 * pair) for pair in range(3)),
        *(clock("masked-lm", "Trainer, eager", pair, 9.0) for pair in range(3)),
        clock("causal-lm", "leanformer", 0, 1.0, loss=4.1),
        clock("causal-lm", "Trainer, sdpa", 0, 2.0, loss=4.0),
    ]
    _, _, masked, causal = benchmark("pretraining_page").clock_table(events)
    assert masked == "| masked-lm | 1.30x [1.20, 1.40] ✓ | 1.15x | 4.000 | 4.000 | sdpa |"
    assert causal.startswith("| causal-lm | 2.00x [2.00, 2.00] ✗ | 1.00x | 4.100 (another loss)")


@pytest.mark.parametrize(("edge", "found"), [(1, 0), (8, 8), (13, 13), (100, 96), (10**6, 64)])
def test_the_largest_batch_is_found_to_an_eighth(benchmark, edge, found):
    tried = []

    def fits(rows):
        tried.append(rows)
        return rows <= edge

    most = 64 if edge == 10**6 else 4096
    assert benchmark("training_cuda").largest(fits, 8, most) == found
    assert len(tried) < 12


def test_a_machine_without_a_device_says_what_was_not_run(benchmark, tmp_path):
    record = Record(tmp_path / "m.jsonl")
    record.write("not-run", what="all of it", why="this machine has no CUDA device")
    benchmark("training_cuda").write_page(record.path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "- all of it: this machine has no CUDA device" in page
    assert "more than one device" in page
