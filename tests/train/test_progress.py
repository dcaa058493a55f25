from pathlib import Path
from typing import Any

from torch import nn

from leanformer.core.record import Record, read
from leanformer.core.workspace import Workspace
from leanformer.train import Progress
from leanformer.train.progress import recorder


def test_evaluations_are_recorded_and_each_step_is_watched(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def watch(name: str, progress: Any) -> None:
        seen.append((name, progress.step))

    record = Record(tmp_path / "record.jsonl")
    space = Workspace(
        name="small", model=None, tokenizer=None, dataset=None, folder=tmp_path, record=record,
        watch=watch,
    )  # fmt: skip
    for hook in (recorder(space), recorder(space.with_(watch=None))):
        hook(nn.Identity(), Progress(1, 4, 0.25, 3.0, 0.1))
        hook(nn.Identity(), Progress(2, 4, 0.50, 1.0, 0.2, quality=0.7))
        hook(nn.Identity(), Progress(3, 4, 0.75, 0.5, 0.3, quality=0.8))
    assert seen == [("small", 1), ("small", 2), ("small", 3)]
    events = [{k: v for k, v in event.items() if k != "time"} for event in read(record.path)]
    assert events[:2] == [
        {"event": "training", "model": "small", "epoch": 0.5, "step": 2, "loss": 2.0, "dev": 0.7},
        {"event": "training", "model": "small", "epoch": 0.75, "step": 3, "loss": 0.5, "dev": 0.8},
    ]
