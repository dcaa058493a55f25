"""`benchmarks/rivals_page.py` on made-up rows."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rivals(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("rivals_page")


def rate(value: float) -> dict[str, float]:
    return {"value": value, "low": 0.9 * value, "high": 1.1 * value}


def row(**changes: Any) -> dict[str, Any]:
    return {
        "set": "made-up", "metric": "accuracy", "keep": 0.99, "chosen": "n-grams → teacher",
        "kind": "cascade", "outcome": "kept", "dev_kept": 0.995, "dev_lower": 0.991,
        "test_kept": 0.994, "test_quality": 0.9044, "teacher_test": 0.91, "deferral": 0.069,
        "ours": rate(12_000), "int8_hf": rate(600), "int8_ours": rate(750), "pytorch": rate(100),
        "rival": {"name": "TF-IDF → teacher", "throughput": rate(8000), "test_kept": 0.994}, "bar": 20,
        "minutes": 15, "training_seconds": 312.4, "machine": {"cpu": "made-up"},
    } | changes  # fmt: skip


def line_of(text: str, begin: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(begin))


def test_a_row_says_what_was_chosen_how_sure_and_how_much_faster(rivals):
    text = rivals.page([row()])
    assert line_of(text, "| 0.99 | n-grams → teacher (cascade") == (
        "| 0.99 | n-grams → teacher (cascade, passes 6.9% on) | proven: 99.5%, at least 99.1% "
        "| 99.4% | 20.0× [16.4×, 24.4×] | 16.0× [13.1×, 19.6×] | 120× [98.2×, 147×] "
        "| 1.50× [1.23×, 1.83×] TF-IDF → teacher (99.4%) | – | 20×: met |"
    )
    work = "| 0.99 | 12,000 | 600 | 750 | 100 | 6.9% | 0.9044 (0.9100) | 15 | 312 s |"
    assert work in text.splitlines()
    assert "1 of 1 targets are met; 1 of 1 are at least as fast" in text
    assert "What stands in the way" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bar": 21}, "(20.0× of 21×): for want of cores"),
        (
            {"test_kept": 0.98},
            "(20.0× of 20×, and the test split measures 98.0% **below**): for want",
        ),
        (
            {"rival": {"name": "fastText", "throughput": {"value": 24_000}, "test_kept": 1.0}},
            "(slower than fastText): for want of cores",
        ),
    ],
)
def test_what_missed_is_shown_with_what_stands_in_the_way(rivals, monkeypatch, changes, said):
    monkeypatch.setitem(rivals.STANDS, ("made-up", 0.99), "for want of cores")
    text = rivals.page([row(**changes)])
    assert said in text.partition("## What stands in the way")[2]
    assert "**missed**" in text or "**slower**" in text


def test_a_miss_that_nobody_explained_says_so(rivals):
    assert "(20.0× of 500×): not examined yet." in rivals.page([row(bar=500)])


def test_machines_are_named_with_their_sets_where_there_are_several(rivals):
    assert "Measured on made-up.\n" in rivals.page([row()])
    other = row(set="other", machine={"cpu": "new", "instructions": ["amx", "vnni"]})
    text = rivals.page([row(), other])
    assert "Measured on made-up.\n" in text
    assert "Measured on new, amx, vnni.\n" in text
    said = "Measured on made-up (made-up); new, amx, vnni (other)."
    assert said in rivals.readme_table([row(), row(keep=0.97), other])


def test_below_what_was_asked_is_said_also_where_there_is_no_target(rivals):
    text = rivals.page([row(bar=None, rival=None, test_kept=0.95, deferral=None, kind="student")])
    line = line_of(text, "| 0.99 | n-grams")
    assert "95.0% **below**" in line
    assert line.endswith("| no rival keeps as much | – | – |")
    assert "0 of 0 targets" in text
    assert "What stands in the way" not in text


def test_our_n_grams_picked_as_the_rival_is_stand_beside_it(rivals):
    plain = {"name": "n-grams → teacher, 0.99", "throughput": rate(24_000), "test_kept": 0.992}
    line = line_of(rivals.page([row(plain=plain)]), "| 0.99 | n-grams")
    assert line.endswith("| 3.0× n-grams → teacher, 0.99 (99.2%) | 20×: met |")
    assert "| – | 20×: met |" in rivals.page([row(plain=None)])
    assert "| – | 20×: met |" in rivals.page([row(plain=plain, rival=None)])


def test_outcomes_and_rates_without_spreads(rivals):
    text = rivals.page(
        [row(outcome="unproven", dev_lower=None, ours={"value": 600}, int8_hf=rate(600))]
    )
    assert "| not proven: 99.5% |" in text
    assert "| 1.00× |" in text
    assert "**not kept**: 99.5%" in rivals.page([row(outcome="not kept")])


def test_the_last_row_of_a_search_counts_and_the_most_asked_comes_first(rivals, tmp_path):
    rows = [row(keep=0.95), row(bar=500), row(set="other"), row(bar=19)]
    rivals.write_rivals_page(rows, tmp_path / "rivals.md")
    text = (tmp_path / "rivals.md").read_text()
    assert "500×" not in text
    assert text.index("| 0.99 |") < text.index("| 0.95 |") < text.index("## other")
    for line in text.splitlines():
        if line.startswith("| 0.9"):
            assert line.count(" | ") in (8, 9)  # both tables
    with pytest.raises(ValueError, match="no rows"):
        rivals.page([])


def test_the_table_of_the_readme(rivals):
    text = rivals.readme_table([row(), row(keep=0.97, rival=None)])
    cells = "n-grams → teacher (cascade, passes 6.9% on) | 99.4% | 20.0× | 120×"
    assert f"| made-up | 0.99 | {cells} | 1.50× |" in text.splitlines()
    assert f"| made-up | 0.97 | {cells} | – |" in text.splitlines()


def test_a_search_that_chose_nothing_is_a_row_too(rivals):
    absent = dict.fromkeys(
        ("chosen", "dev_kept", "dev_lower", "test_kept", "test_quality", "ours", "deferral")
    )
    nothing = row(**absent, outcome="not kept", kind="student")
    del nothing["metric"]
    text = rivals.page([nothing])
    line = line_of(text, "| 0.99 | nothing")
    assert line.startswith("| 0.99 | nothing | **not kept** | – | – | – | – | – TF-IDF → teacher")
    assert line.endswith("**slower** | – | 20×: **missed** |")
    assert "- **made-up, 0.99** (nothing was chosen): not examined yet." in text
    assert "| made-up | 0.99 | nothing | – | – | – | – |" in rivals.readme_table([nothing])


def test_a_region_of_readme_is_replaced_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    readme, page = importlib.import_module("readme"), tmp_path / "README.md"
    page.write_text("above\n<!-- rivals:begin -->\nold\n<!-- rivals:end -->\nbelow\n")
    readme.write_region("rivals", "new\n", page)
    whole = "above\n<!-- rivals:begin -->\nnew\n<!-- rivals:end -->\nbelow\n"
    assert page.read_text() == whole
    with pytest.raises(ValueError, match="no region 'results'"):
        readme.write_region("results", "x\n", page)
    assert page.read_text() == whole


def test_readme_has_the_table_of_the_committed_rows(rivals):
    from leanformer.core.record import read

    rows = [e for e in read(ROOT / "docs/results/rivals.jsonl") if e["event"] == "rival"]
    assert rivals.readme_table(rows) in (ROOT / "README.md").read_text()
    assert rivals.page(rows) == (ROOT / "docs/results/rivals.md").read_text()
