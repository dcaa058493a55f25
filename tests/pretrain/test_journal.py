from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from leanformer.core.record import Record, read
from leanformer.pretrain.evaluation import Evaluation
from leanformer.pretrain.journal import Journal, Status
from leanformer.train import Progress, TrainSetup
from leanformer.train.schedules import ConstantRate


class Tracked:
    """A tracker that notes what it is told."""

    def __init__(self, run: Any) -> None:
        self.run, self.told, self.ended = run, list[Any](), False
        made.append(self)

    def numbers(self, step: int, values: dict[str, float]) -> None:
        self.told.append((step, sorted(values)))

    def text(self, step: int, name: str, text: str) -> None:
        self.told.append((step, name, text))

    def end(self) -> None:
        self.ended = True


made: list[Tracked] = []


def journal(record: Record, told: list[Status], evaluator: Any = None) -> Journal:
    batches: Any = SimpleNamespace(tokens=lambda step: 10 * (step + 1))
    return Journal(
        record,
        batches,
        TrainSetup(learning_rate=0.5, schedule=ConstantRate(warmup=0)),
        torch.device("cpu"),
        log_steps=2,
        evaluator=evaluator,
        flops=8.0,
        peak=1e6,
        watch=told.append,
        trackers=[Tracked],  # type: ignore[list-item]
        run=lambda step: SimpleNamespace(step=step),  # type: ignore[arg-type,return-value]
    )


def steps(journal: Journal, first: int, last: int, quality: int = 0) -> None:
    for step in range(first, last + 1):
        found = -1.0 if step == quality else None
        journal(nn.Linear(1, 1), Progress(step, 9, 0.1, float(step), 1.0, found))


def test_lines_have_means_tokens_and_utilization(tmp_path: Path) -> None:
    told: list[Status] = []
    record = Record(tmp_path / "events.jsonl")
    steps(journal(record, told), 1, 9)
    lines = read(record.path)
    assert [(one["step"], one["tokens"], one["loss"]) for one in lines] == [
        (2, 30, 1.5),
        (4, 100, 3.5),
        (6, 210, 5.5),
        (8, 360, 7.5),
        (9, 450, 9.0),
    ]
    assert lines[0]["learning_rate"] == 0.5
    assert lines[0]["mfu"] == pytest.approx(8.0 * lines[0]["tokens_per_second"] / 1e6)
    assert [status.step for status in told] == [2, 4, 6, 8, 9]
    assert told[-1].seconds_left == 0
    assert told[-1].seconds >= told[0].seconds > 0


def test_what_was_told_after_the_checkpoint_is_told_again_once(tmp_path: Path) -> None:
    record = Record(tmp_path / "events.jsonl")
    record.write("pretraining", name="x")
    steps(journal(record, []), 1, 6)
    again = journal(record, [])
    steps(again, 6, 9)  # the checkpoint was of step 5
    again.close()
    lines = read(record.path)
    assert [(one["event"], one.get("step")) for one in lines] == [
        ("pretraining", None),
        ("step", 2),
        ("step", 4),
        ("resumed", 5),
        ("step", 6),
        ("step", 8),
        ("step", 9),
    ]
    assert lines[4]["tokens"] == 210
    assert made[-1].run.step == 5
    assert made[-1].ended


def test_an_evaluation_and_its_samples_are_told(tmp_path: Path) -> None:
    found = Evaluation(loss=1.0, perplexity=2.7, accuracy=0.5, predicted=7)
    samples = [{"prompt": "once", "text": " upon"}]
    evaluator = SimpleNamespace(last=found, samples=samples, seconds=0.0)
    told: list[Status] = []
    record = Record(tmp_path / "events.jsonl")
    steps(journal(record, told, evaluator), 1, 3, quality=3)
    lines = read(record.path)
    assert [one["event"] for one in lines] == ["step", "step", "evaluation", "samples"]
    assert lines[2]["tokens"] == 60
    assert lines[2]["predicted"] == 7
    assert "word_perplexity" not in lines[2]
    assert lines[3]["samples"] == samples
    assert told[0].evaluation is None
    assert told[1].evaluation == found
    step, names = made[-1].told[1]
    assert step == 3
    assert "evaluation/loss" in names
    assert "speed/mfu" in names
    assert made[-1].told[2] == (3, "sample/1", "once upon")
