"""Checkpoints that several ranks write: any number reads them, and none that was cut short is taken
for whole."""

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from train.execution import layout_cases as cases

from leanformer.core.storage import files
from leanformer.train.checkpoints import checkpoint, sharded
from leanformer.train.loop import fit
from leanformer.train.parallel import Parallel
from leanformer.train.testing import RankFailed, on_ranks

STEPS = 5
Result = tuple[list[float], dict[str, Tensor]]


class Stop(Exception):
    pass


def run(layout: Parallel, folder: Path | None = None, stop: int = 0, dropout: float = 0) -> Result:
    """Train; the best weights are those of an early step. Stopped, it gives nothing."""
    setup = replace(
        cases.SETUP,
        steps=STEPS,
        evaluations=STEPS,
        checkpoint_seconds=0,
        parallel=layout,
    )
    made, model = cases.projected(), cases.bert(hidden_dropout_prob=dropout)

    def hook(model: Any, progress: Any) -> None:
        if progress.step == stop + 1:  # the checkpoint of `stop` is written after its hooks
            raise Stop

    hooks = [hook] if stop else []
    try:
        fitted = fit(
            model, made.data, made.loss, setup, evaluate=cases.size, folder=folder, hooks=hooks
        )
    except Stop:
        return [], {}
    return fitted.losses, dict(model.state_dict())


def assert_same(ours: Result, expected: Result, most: float = 1e-10) -> None:
    assert len(ours[0]) == STEPS
    torch.testing.assert_close(torch.tensor(ours[0]), torch.tensor(expected[0]), rtol=most, atol=0)
    for name, tensor in expected[1].items():
        torch.testing.assert_close(ours[1][name], tensor, rtol=most, atol=most)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (
            Parallel(data=4, zero=3),
            [Parallel(), Parallel(data=2, zero=1), Parallel(data=3, zero=3), Parallel(data=2)],
        ),
        pytest.param(
            Parallel(), [Parallel(data=2, zero=3), Parallel(data=2)], marks=pytest.mark.thorough
        ),
        pytest.param(Parallel(data=2), [Parallel(data=2, zero=2)], marks=pytest.mark.thorough),
    ],
)
def test_any_number_of_ranks_goes_on(
    tmp_path: Path, written: Parallel, read: list[Parallel]
) -> None:
    expected = run(Parallel())
    assert len({round(value, 9) for value in expected[0]}) == STEPS
    begun = tmp_path / "begun"
    if written.data:
        on_ranks(written.data, run, written, begun, 3)
    else:
        run(written, begun, 3)
    state = checkpoint.state_of(begun)
    assert state is not None
    assert state["step"] == 3
    for place, layout in enumerate(read):
        folder = shutil.copytree(begun, tmp_path / str(place))
        found = on_ranks(layout.data, run, layout, folder) if layout.data else [run(layout, folder)]
        for ours in found:
            assert_same(ours, expected)


@pytest.mark.parametrize("zero", [pytest.param(0, marks=pytest.mark.thorough), 3])
def test_dropout_goes_on_as_it_would_have(tmp_path: Path, zero: Any) -> None:
    layout = Parallel(data=2, zero=zero)
    expected = on_ranks(2, run, layout, None, 0, 0.3)
    on_ranks(2, run, layout, tmp_path / "c", 3, 0.3)
    for ours, unbroken in zip(
        on_ranks(2, run, layout, tmp_path / "c", 0, 0.3), expected, strict=True
    ):
        assert_same(ours, unbroken, most=1e-12)
    without = on_ranks(2, run, layout)[0]
    assert abs(without[0][0] - expected[0][0][0]) > 1e-6


def _killed(stage: str, folder: Path) -> None:
    """Train on; rank 0 is killed at a stage of writing its second checkpoint from here."""
    calls = []
    names: dict[str, tuple[Any, str]] = {
        "before a shard": (sharded, "_write"),
        "before state.json": (Path, "write_text"),
        "before parts.json": (sharded, "list_parts"),
        "before the rename": (files, "_put"),
    }
    place, name = names[stage]
    real = getattr(place, name)

    def call(*args: Any, **settings: Any) -> Any:
        if stage != "before state.json" or args[0].name == "state.json":
            calls.append(args)
        if len(calls) == 2 and torch.distributed.get_rank() == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **settings)

    with mock.patch.object(place, name, call):
        run(Parallel(data=2, zero=3), folder)


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("before a shard", marks=pytest.mark.thorough),
        pytest.param("before state.json", marks=pytest.mark.thorough),
        "before parts.json",
        "before the rename",
    ],
)
def test_a_checkpoint_that_was_cut_short_is_not_taken_for_whole(tmp_path: Path, stage: str) -> None:
    with pytest.raises(RankFailed, match="SIGKILL"):
        on_ranks(2, _killed, stage, tmp_path / "c")
    ours, steps = tmp_path / "c", []
    state = checkpoint.state_of(ours)
    assert state is not None
    assert state["step"] == 1
    steps = on_ranks(2, run, Parallel(data=2, zero=3), ours)
    for found in steps:
        assert_same(found, run(Parallel()))
    assert [path.name for path in tmp_path.iterdir()] == ["c"]  # nothing is left of the other


def _refused(function: Callable[[], object], kind: Any) -> str:
    with pytest.raises(kind) as raised:
        function()
    return str(raised.value)


def _damaged(folder: Path) -> str:
    return _refused(lambda: run(Parallel(zero=3), folder), ValueError)


def test_a_damaged_shard_is_refused_by_name_on_all_ranks(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    on_ranks(2, run, Parallel(data=2, zero=3), folder, 2)
    shard = sorted(folder.glob("shard-*.safetensors"))[-1]
    content = bytearray(shard.read_bytes())
    content[-9] ^= 1
    shard.write_bytes(content)
    said = on_ranks(3, _damaged, folder, seconds=30)
    assert len(set(said)) == 1
    assert shard.name in said[0]
    shard.unlink()
    said = on_ranks(2, _damaged, folder, seconds=30)
    assert len(set(said)) == 1
    assert shard.name in said[0]


def _blocked(folder: Path) -> str:
    return _refused(lambda: run(Parallel(zero=3), folder), OSError)


def _full(folder: Path, rank: int) -> str:
    def full(*args: Any) -> None:
        raise OSError("no space left on device")

    own = torch.distributed.get_rank() == rank
    patched = mock.patch.object(HuggingFaceStorageWriter, "write_data", full)
    with patched if own else nullcontext():
        return _refused(lambda: run(Parallel(zero=3), folder), OSError)


def _full_at_the_end(folder: Path) -> str:
    def full(*args: Any) -> None:
        raise OSError("no space left on device")

    with mock.patch.object(sharded, "list_parts", full):
        return _refused(lambda: run(Parallel(zero=3), folder), OSError)


def test_a_checkpoint_that_cannot_be_written_ends_all_ranks(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = on_ranks(2, _blocked, tmp_path / "file" / "c", seconds=30)
    assert all("file" in one for one in said)
    for rank in (0, 1):
        for one in on_ranks(2, _full, tmp_path / "c", rank, seconds=30):
            assert "no space left on device" in one
    for one in on_ranks(2, _full_at_the_end, tmp_path / "c", seconds=30):
        assert "no space left on device" in one
    assert not (tmp_path / "c").exists()
