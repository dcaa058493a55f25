"""`benchmarks/optimizers_page.py` on made-up rows, and the bytes that `moved_bytes.py` counts."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def quantity(value: float) -> dict[str, float]:
    return {"value": value, "low": 0.9 * value, "high": 1.1 * value}


def row(**changes: Any) -> dict[str, Any]:
    return {
        "parameters": "12 x 768", "tensors": 199, "elements": 100_000_000, "optimizer": "AdamW, fused",
        "seconds": quantity(0.14), "over_loop": quantity(4.0), "copy_seconds": quantity(0.04),
        "contended": 0.0, "bytes_least": 2_800_000_000, "bytes_counted": 2_800_000_000,
        "operations": 4, "device": "cpu", "threads": 2, "environment": {"cpu": "made-up"},
    } | changes  # fmt: skip


def test_a_line_says_how_long_a_step_takes_and_what_it_moves(benchmarks: Any) -> None:
    text = benchmarks("optimizers_page").page([row()])
    assert "100,000,000 weights in 199 tensors; copying as many takes 40 ms." in text
    assert "| AdamW, fused | 140 | 4.00x [3.60, 4.40] | 4 | 7 | 7.0 | 20.0 | 100% |" in text
    assert "The fastest AdamW is `fused`." in text
    assert text.count("made-up") == 1
    assert "tokenization" not in text
    assert "busy" not in text


def test_the_last_row_of_a_kind_counts_and_a_busy_machine_is_named(benchmarks: Any) -> None:
    lamb = row(optimizer="LAMB, fused", seconds=quantity(0.42), contended=0.6)
    text = benchmarks("optimizers_page").page([row(seconds=quantity(9)), lamb, row()])
    assert text.count("| AdamW, fused |") == 1
    assert "A fused step of LAMB takes 3.0 times as long as one of AdamW." in text
    assert "The machine was busy while these ran: LAMB, fused." in text


def test_devices_and_parameters_have_tables_of_their_own(benchmarks: Any) -> None:
    rows = [row(), row(device="cuda"), row(parameters="500 tiny tensors")]
    text = benchmarks("optimizers_page").page(rows)
    for title in ("12 x 768 on cpu", "12 x 768 on cuda", "500 tiny tensors on cpu"):
        assert f"\n## {title}, 2 threads\n" in text


def test_the_bytes_of_operations_are_counted(benchmarks: Any) -> None:
    moved = benchmarks("moved_bytes").moved_bytes
    a, b = torch.ones(2, 5), torch.ones(2, 5)
    assert moved(lambda: a + b) == (3 * 40, 1)
    assert moved(lambda: a.add_(b)) == (3 * 40, 1)
    assert moved(lambda: a.copy_(b)) == (2 * 40, 1)
    assert moved(lambda: a.zero_()) == (40, 1)
    assert moved(lambda: torch.zeros_like(a)) == (40, 1)
    assert moved(lambda: a.t().reshape(10)[3:]) == (2 * 40, 1)  # the reshape copies, views do not
    assert moved(lambda: torch._foreach_mul_([a, b], 2.0)) == (4 * 40, 1)


def test_the_fused_steps_move_as_little_as_they_must(benchmarks: Any) -> None:
    optimizers: ModuleType = benchmarks("optimizers")
    optimizers.check()
    for name, numbers in (("AdamW, fused", 7), ("SGD, fused", 5)):
        weights = optimizers.parameters([(300, 300), (90,)], "cpu")
        step = optimizers.MADE[name].build(optimizers.grouped(weights)).step
        step()
        counted, _ = benchmarks("moved_bytes").moved_bytes(step)
        least = 4 * numbers * sum(weight.numel() for weight in weights)
        assert counted == pytest.approx(least, rel=1e-3)


def test_the_clock_writes_rows_that_make_a_page(benchmarks: Any, tmp_path: Path) -> None:
    optimizers: ModuleType = benchmarks("optimizers")
    out = tmp_path / "rows.jsonl"
    optimizers.clock("tiny", [(8, 8), (8,)], 2, out)
    from leanformer.core.record import read

    text = benchmarks("optimizers_page").page(read(out))
    for name in optimizers.MADE:
        assert f"\n| {name} |" in text
