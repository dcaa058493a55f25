"""A finished search that is asked for again with something changed uses what is still true."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search.whole import Search

from leanformer.search import compress
from leanformer.search.clock import Clock

pytest.importorskip("openvino", reason="students are judged as OpenVINO graphs")
pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short")]
_MODULE = sys.modules["leanformer.search.compress"]  # the package has a function of this name


@pytest.fixture
def again(search: Callable[[str], Search], tmp_path: Path) -> Search:
    """A copy of a finished search, in another place."""
    done = search("classification")
    return Search(done.request, Path(shutil.copytree(done.out, tmp_path / "lean")))


def trained(*_: Any) -> None:
    raise AssertionError("a step was done again")


@pytest.mark.parametrize("fields", [{"keep": 0.6}, {"minutes": 2000.0}])
def test_another_promise_and_more_time_train_nothing_again(
    again: Search, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leanformer.recipe.running._do", trained)
    monkeypatch.setattr("leanformer.search.finish.DEFAULT", ())
    before, steps = again.devs, [e["settings"] for e in again.events("step")]
    compress(replace(again.request, **fields), again.out)
    assert again.devs == before
    assert [e["settings"] for e in again.events("step")] == steps
    (verdict,) = again.events("verdict")
    assert "The test split was opened before" in verdict["note"]


def test_longer_trainings_are_done_and_the_teacher_is_not_exported_again(
    again: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exported(*_: Any, **__: Any) -> None:
        raise AssertionError("the teacher was exported again")

    monkeypatch.setattr("leanformer.search.entrants.baselines.save_model", exported)
    monkeypatch.setattr(_MODULE, "finish", lambda *_, **__: None)
    first = next(iter(again.devs))
    rungs = [rung for rung in _MODULE.ladder(2) if rung.name == first]
    monkeypatch.setattr(_MODULE, "ladder", lambda *_, **__: rungs)
    compress(replace(again.request, student_epochs=1.0), again.out)
    (name,) = again.devs
    assert name == first
    assert (again.out / "work" / name / "02-distill" / "model").is_dir()
    assert len(list((again.out / "work" / name).glob("02-distill.*"))) == 1  # the former one


@pytest.mark.parametrize(("fits", "decision"), [(2.0, "kept"), (0.0, "skipped")])
def test_a_student_that_would_not_end_in_time_is_shortened_or_skipped(
    again: Search, monkeypatch: pytest.MonkeyPatch, fits: float, decision: str
) -> None:
    monkeypatch.setattr(_MODULE, "finish", lambda *_, **__: None)
    monkeypatch.setattr(Clock, "free", 0.0)
    monkeypatch.setattr("leanformer.search.students.pace._fitting", lambda *_: fits)
    request = replace(again.request, student_epochs=14.0, keep=1.0)  # of one step each
    compress(request, again.out)
    paces = again.events("pace")
    assert [event["epochs"] for event in paces] == [fits]
    steps = [event["settings"] for event in again.events("step") if event["step"] == "distill"]
    assert [one["train"]["epochs"] for one in steps] == ([fits] if fits else [])
    (name,) = {event["name"] for event in paces}
    assert (name, decision) in [(one, what) for one, what, _ in again.decisions]
    (again.out / "record.jsonl").write_text(
        "".join(
            line
            for line in (again.out / "record.jsonl").read_text().splitlines(keepends=True)
            if '"choice"' not in line
        )
    )
    monkeypatch.setattr("leanformer.recipe.running._do", trained)
    compress(request, again.out)  # as it was decided, though it was not written what came of it
    assert len(again.events("pace")) == 1
