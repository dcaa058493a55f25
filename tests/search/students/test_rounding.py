"""Whether a student fails by rounding alone: in fp32 it keeps enough, in int8 it does not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search.made_up import answers_right, contest_with

from leanformer.search.entry import TEACHER
from leanformer.search.students import rounding
from leanformer.search.students.ladder import Rung
from leanformer.search.students.rounding import fails_by_rounding

RUNG = Rung(layers=3)


def fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, int8: int, fp32: int, **asked: Any
) -> tuple[bool, list[Any]]:
    """The answer, asked twice, and the events of it; so many of 1,000 answers are right."""
    contest = contest_with(folder, {TEACHER: 1000, RUNG.name: int8})
    contest.request = replace(contest.request, keep=0.95, **asked)
    opened: list[Any] = []
    monkeypatch.setattr(rounding, "open_system", lambda *what: opened.append(what))
    monkeypatch.setattr(contest, "judge", lambda *_: answers_right(fp32))

    class Done:
        saved = folder

    answers = {
        fails_by_rounding(contest, RUNG, Done(), lambda one: one.holds)  # type: ignore[arg-type]
        for _ in range(2)
    }
    assert len(opened) <= 1
    assert all(one[1:3] == ("pytorch", "fp32") for one in opened)
    return answers.pop(), contest.known("rounding")


def test_what_keeps_enough_in_fp32_alone_fails_by_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, (event,) = fails(tmp_path, monkeypatch, int8=940, fp32=960)
    assert answer
    assert (event["name"], event["int8"], event["fp32"]) == (RUNG.name, 0.94, 0.96)


@pytest.mark.parametrize(
    ("int8", "fp32", "asked", "events"),
    [
        (960, 990, {}, 0),  # it is kept as it is
        (940, 945, {}, 1),  # it fails in fp32 too
        (940, 960, {"portable": True}, 0),  # transformers would not load what rounds
    ],
)
def test_all_else_is_left_alone(
    int8: int,
    fp32: int,
    asked: dict[str, Any],
    events: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, written = fails(tmp_path, monkeypatch, int8=int8, fp32=fp32, **asked)
    assert not answer
    assert len(written) == events
