"""A search that was stopped goes on where it was, with the same result."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from search.whole import ALONE, Search, absent, measured, one_student, reuse

from leanformer.search import compress
from leanformer.search.contest import Contest
from leanformer.train.loop import Progress

pytest.importorskip("openvino", reason="students are judged as OpenVINO graphs")
pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short")]
_MODULE = sys.modules["leanformer.search.compress"]  # the package has a function of this name


def test_a_finished_search_is_not_done_again(
    search: Callable[[str], Search], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = search("classification")
    before = (done.out / "record.jsonl").read_text()
    monkeypatch.setattr(Contest, "judge", None)
    monkeypatch.setattr("leanformer.search.students.trainer.run", None)
    (done.out / "report.html").unlink()
    assert compress(done.request, done.out).is_file()
    assert (done.out / "record.jsonl").read_text() == before


@pytest.mark.parametrize("kind", ["pairs", "embedding"])
def test_a_search_stopped_before_its_verdict_ends_with_the_same_decisions(
    search: Callable[[str], Search], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = search(kind)
    record, decisions, devs = done.out / "record.jsonl", done.decisions, done.devs
    whole = record.read_text()
    lines = whole.splitlines(keepends=True)
    stop = next(i for i, line in enumerate(lines) if '"decision": "chosen"' in line) + 1
    record.write_text("".join(lines[:stop]))

    def timed(served: Any, *_: Any, **__: Any) -> Any:
        exported = [name for name in served if name.startswith(f"{list(devs)[-1]} · ")]
        assert exported, "the choice is settled, and systems were timed again"
        return measured(served)

    def trained(*_: Any) -> None:
        raise AssertionError("a step was done again")

    one_student(monkeypatch)
    monkeypatch.setattr("leanformer.search.finish.measure_folders", timed)
    monkeypatch.setattr("leanformer.recipe.running._do", trained)
    monkeypatch.setattr("leanformer.search.finish.DEFAULT", ())
    if kind in ALONE:
        monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
    compress(done.request, done.out)
    assert done.decisions == decisions  # none anew, those of baselines that failed included
    assert done.devs == devs
    assert done.events("verdict")[0]["chosen"] == list(devs)[-1]
    record.write_text(whole)


def test_an_interrupted_training_goes_on_and_ends_with_the_same_qualities(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = search("classification")
    again = Search(done.request, tmp_path / "lean")
    reuse(done, again.out)
    monkeypatch.setattr(_MODULE, "finish", lambda *_, **__: None)
    first, steps = next(iter(done.devs)), []

    def stop(name: str, progress: Any) -> None:
        if isinstance(progress, Progress) and progress.step == 4:
            raise KeyboardInterrupt

    def watch(name: str, progress: Any) -> None:
        if isinstance(progress, Progress) and name == first:
            steps.append(progress.step)

    with pytest.raises(KeyboardInterrupt):
        compress(again.request, again.out, watch=stop)
    assert not again.devs
    compress(again.request, again.out, watch=watch)
    assert steps == [4, 5, 6]
    assert again.devs == done.devs
    expected = [choice for choice in done.decisions if choice[1] != "chosen"]
    assert set(again.decisions) == set(expected)


def test_outputs_without_room_are_asked_for_anew_also_after_a_resume(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without the outputs on disk the students are the same but for bf16."""
    done = search("classification")
    assert [event["kept"] for event in done.events("teacher_outputs")] == [True]
    assert not (done.out / "work" / "teacher-outputs").exists()
    out, said = tmp_path / "lean", []  # type: ignore[var-annotated]
    reuse(done, out)
    monkeypatch.setattr(_MODULE, "finish", lambda *_, **__: None)
    monkeypatch.setattr("leanformer.search.students.teacher_cache._MOST", 10)

    def stop(name: str, progress: Any) -> None:
        said.append(progress)
        if isinstance(progress, Progress) and progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(done.request, out, watch=stop)
    assert any("have no room on disk" in text for text in said if isinstance(text, str))
    monkeypatch.undo()
    monkeypatch.setattr(_MODULE, "finish", lambda *_, **__: None)
    compress(done.request, out)
    again = Search(done.request, out)
    assert [event["kept"] for event in again.events("teacher_outputs")] == [False]
    assert again.devs.keys() == done.devs.keys()
