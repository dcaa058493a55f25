"""`benchmarks/memory_savers_page.py` on made-up rows, and `memory_savers.py` on a tiny model."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from leanformer.core.record import read

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("memory_savers_page")


def row(way: str, activations: int, times: list[float], **changes: Any) -> dict[str, Any]:
    sizes = {"weights": 100, "gradients": 100, "optimizer": 200, "temporary": 0}
    account = {name: size * 2**20 for name, size in sizes.items()}
    return {
        "event": "saver", "model": "bert", "way": way, "size": "full", "device": "cpu", "threads": 2,
        "account": account | {"activations": activations * 2**20}, "over_plain": times,
        "environment": {"cpu": "made-up"},
    } | changes  # fmt: skip


def test_ways_stand_beside_the_plain_training(pages: ModuleType) -> None:
    text = pages.page(
        [
            row("plain", 500, [9.0]),
            row("plain", 600, [1.0, 1.0, 1.0]),  # the last one counts
            row("checkpoint", 100, [1.25, 1.3, 1.2]),
            row("targets", 500, [0.6, 0.7, 0.5]),
            row("tiny", 1, [1.0], size="tiny"),
            row("checkpoint", 105, [], event="predicted"),
        ]
    )
    lines = text.splitlines()
    assert "| plain | 100 | 100 | 200 | 600 | 0 | – | 1.00 | 1.00 [1.00, 1.00] |" in lines
    assert "| checkpoint | 100 | 100 | 200 | 100 | 0 | 101% | 0.50 | 1.25 [1.20, 1.30] |" in lines
    assert "| targets | 100 | 100 | 200 | 500 | 0 | – | 0.90 | 0.60 [0.50, 0.70] |" in lines
    assert "tiny" not in text
    assert (
        "Least memory: `checkpoint`, 50% of the plain training's. Less memory in no more time, in "
        "every round: `targets`."
    ) in lines
    assert "Not run here, since it needs a GPU" in text
    assert "made-up" in text


def test_a_page_of_a_gpu_does_not_say_that_it_was_not_run(pages: ModuleType) -> None:
    rows = [row("plain", 500, [1.0], device="cuda"), row("a", 100, [1.1], device="cuda")]
    text = pages.page(rows)
    assert "Not run here" not in text
    assert "Nothing saved memory without costing time in some round." in text


def test_ways_are_predicted(
    pages: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    savers = importlib.import_module("memory_savers")
    monkeypatch.setattr(savers, "MEASURED", tmp_path / "m.jsonl")
    savers.predict("tiny", ["gpt2"])
    said = {event["way"]: event["account"] for event in read(tmp_path / "m.jsonl")}
    assert said.keys() == savers.WAYS.keys()
    assert said["activations to disk"] is None
    assert said["reversible"]["activations"] < said["plain"]["activations"]


@pytest.mark.parametrize(
    ("model", "way"), [("bert", "checkpoint and chunks"), ("gpt2", "reversible")]
)
def test_a_way_is_measured(pages: ModuleType, model: str, way: str) -> None:
    found = importlib.import_module("memory_savers").train_one(model, way, "tiny")
    assert found["seconds"] > 0
    assert found["account"]["activations"] > 0
    json.dumps(found)
