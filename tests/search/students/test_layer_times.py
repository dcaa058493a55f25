"""What a layer takes is measured once, at the widths that students have."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search.toy import contest_of

from leanformer.search.students import layer_times as module
from leanformer.search.students.ladder import WIDTHS
from leanformer.search.students.layer_times import layer_times


def test_it_is_measured_once_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def timed(widths: Any, **settings: Any) -> Any:
        widths = list(widths)
        asked.append((widths, settings))
        return {one: one.heads + one.ffn / 1000 for one in widths}

    monkeypatch.setattr(module, "time_layers", timed)
    contest = contest_of(tmp_path, "classification")
    times = layer_times(contest)
    assert layer_times(contest) == times
    ((widths, settings),) = asked
    whole = widths[0]
    assert (whole.hidden, whole.heads, whole.head_dim, whole.ffn) == (32, 4, 8, 48)
    assert [(one.heads, one.ffn) for one in widths] == [(4, 48), (4, 24), (2, 24), (2, 12)]
    assert (settings["rows"], settings["threads"]) == (16, None)
    lengths = [len(ids) for ids in contest.tokenizer(contest.dataset.dev.texts)["input_ids"]]
    assert settings["tokens"] == round(sum(lengths) / len(lengths))
    assert times is not None
    assert times[0.5, 0.5] == pytest.approx(2.024)
    assert set(times) == set(WIDTHS)


def test_for_latency_one_text_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contest = contest_of(tmp_path, "regression")
    contest.request = replace(contest.request, goal="latency")
    monkeypatch.setattr(module, "time_layers", lambda widths, **_: dict.fromkeys(widths, 1.0))
    assert layer_times(contest) == dict.fromkeys(WIDTHS, 1.0)
    (event,) = contest.known("layers")
    assert (event["texts"], event["tokens"]) == (1, 32)


def test_another_encoder_is_measured_by_its_own_widths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_of(tmp_path, "embedding")
    contest.request = replace(contest.request, student=str(tmp_path / "teacher"))
    contest.teacher = None
    found: list[Any] = []

    def timed(widths: Any, **_: Any) -> Any:
        found.extend(widths)
        return dict.fromkeys(found, 1.0)

    monkeypatch.setattr(module, "time_layers", timed)
    assert layer_times(contest) == dict.fromkeys(WIDTHS, 1.0)
    assert {one.hidden for one in found} == {32}


def test_what_is_served_by_pytorch_is_not_measured(tmp_path: Path) -> None:
    contest = contest_of(tmp_path, "classification")
    contest.graphs = False
    assert layer_times(contest) is None
    assert contest.known("layers") == []
