"""Trackers: TensorBoard's files are read back; W&B and MLflow are modules that note their calls."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from leanformer.pretrain.trackers import TRACKERS, TrackedRun, chosen


def run(folder: Path, step: int = 0) -> TrackedRun:
    settings = {"train": {"steps": 8}, "paths": ["a", "b"], "name": "x" * 600}
    return TrackedRun(name="r", key="abc", folder=folder, settings=settings, step=step)


class Noted:
    """Notes what it is called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def noted(*args: Any, **named: Any) -> Any:
            self.calls.append((name, *args, named))
            return self if name == "init" else SimpleNamespace(info=SimpleNamespace(run_id="r1"))

        return noted


@pytest.fixture
def fake() -> Iterator[Noted]:
    noted = Noted()
    with mock.patch.dict(sys.modules, wandb=noted, mlflow=noted):  # type: ignore[arg-type]
        yield noted


def told(name: str, folder: Path, step: int = 0) -> None:
    (kind,) = chosen([name])
    tracker = kind(run(folder, step))
    tracker.numbers(step + 2, {"train/loss": 1.5})
    tracker.text(step + 2, "sample/1", "once upon")
    tracker.end()


def test_wandb_goes_on_under_the_same_id(fake: Noted, tmp_path: Path) -> None:
    told("wandb", tmp_path)
    (begun, *rest) = fake.calls
    assert begun[0] == "init"
    assert begun[1]["id"] == "abc"
    assert begun[1]["resume"] == "allow"
    assert begun[1]["config"]["train"] == {"steps": 8}
    assert rest == [
        ("log", {"train/loss": 1.5}, {"step": 2}),
        ("log", {"sample/1": "once upon"}, {"step": 2}),
        ("finish", {}),
    ]


def test_mlflow_goes_on_with_the_run_that_its_folder_names(fake: Noted, tmp_path: Path) -> None:
    told("mlflow", tmp_path)
    assert fake.calls[0] == ("start_run", {"run_name": "r"})
    # names of parameters may hold letters, digits and _ - . / and no brackets
    settings = {"train.steps": "8", "paths.0": "a", "paths.1": "b", "name": "x" * 500}
    assert fake.calls[1] == ("log_params", settings, {})
    assert fake.calls[2] == ("log_metrics", {"train/loss": 1.5}, {"step": 2})
    assert fake.calls[3] == ("log_text", "once upon", "sample/1-2.txt", {})
    assert fake.calls[4] == ("end_run", {})
    fake.calls.clear()
    told("mlflow", tmp_path, step=2)
    assert [call[0] for call in fake.calls][:2] == ["start_run", "log_metrics"]
    assert fake.calls[0] == ("start_run", {"run_id": "r1"})


def test_tensorboard_writes_files_that_tensorboard_reads(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    told("tensorboard", tmp_path)
    told("tensorboard", tmp_path, step=1)  # goes on before what was written: that is dropped
    found = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in found.Scalars("train/loss")] == [(3, 1.5)]
    assert "sample/1/text_summary" in found.Tags()["tensors"]


def test_tensorboard_is_used_where_it_is_installed_unless_others_are_named() -> None:
    with mock.patch.dict(sys.modules, tensorboard=mock.Mock()):
        assert chosen(None) == [TRACKERS["tensorboard"]]
    with mock.patch.dict(sys.modules, tensorboard=None):
        assert chosen(None) == []
        with pytest.raises(ValueError, match="tensorboard is not installed: pip install 'leanform"):
            chosen(["tensorboard"])
    assert chosen([]) == []
