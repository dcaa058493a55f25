from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.toy import contest_of

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record, read
from leanformer.models.shape import shape_of
from leanformer.search import finish as module
from leanformer.search.contest import FUSED_TEACHER, INT8_TEACHER, TEACHER, Contest, System
from leanformer.search.finish import choose, finish, finished

STUDENTS = ("L3", "L2", "L1")


def entered(folder: Path, dev: dict[str, float]) -> Contest:
    """A contest in which systems of these qualities have entered."""
    contest = contest_of(folder, "classification")
    shape = shape_of(contest.teacher)
    for name, quality in dev.items():
        role = "candidate" if name in STUDENTS else "teacher" if name == TEACHER else "baseline"
        contest.systems[name] = System(
            name=name, role=role, folder=folder, backend="pytorch", precision="fp32",
            shape=shape, dev=quality,
        )  # fmt: skip
    return contest


def rates(values: dict[str, float]) -> dict[str, dict[str, Quantity]]:
    return {name: {"throughput": Quantity(value, "texts/s")} for name, value in values.items()}


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    names = (TEACHER, INT8_TEACHER, FUSED_TEACHER, *STUDENTS)
    return entered(tmp_path_factory.mktemp("contest"), dict.fromkeys(names, 0.0))


@given(
    dev=st.lists(st.sampled_from([0.0, 0.5, 0.79, 0.8, 0.9, 1.0]), min_size=6, max_size=6),
    speed=st.permutations([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    keep=st.sampled_from([0.5, 0.8, 1.0]),
)
def test_the_fastest_in_int8_that_keeps_the_quality_is_chosen(
    contest: Contest, dev: list[float], speed: list[float], keep: float
) -> None:
    names = list(contest.systems)
    for name, quality in zip(names, dev, strict=True):
        contest.systems[name] = replace(contest.systems[name], dev=quality)
    request = replace(contest.request, keep=keep)
    chosen = choose(contest, request, rates(dict(zip(names, speed, strict=True))))
    fair = [
        (rate, name)
        for name, quality, rate in zip(names, dev, speed, strict=True)
        if quality >= keep * dev[0] - 1e-9 and name not in (TEACHER, FUSED_TEACHER)
    ]
    assert (chosen and chosen.name) == (max(fair)[1] if fair else None)


def timed(values: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "measure_folders", lambda *_, **__: (rates(values), None))


def test_where_nothing_keeps_the_quality_the_verdict_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = entered(tmp_path, {TEACHER: 0.9, INT8_TEACHER: 0.5, "L1": 0.4})
    timed({TEACHER: 1.0, INT8_TEACHER: 2.0, "L1": 3.0}, monkeypatch)
    said: list[Any] = []
    assert finish(contest, contest.request, tmp_path, lambda *args: said.append(args)) is None
    events = read(contest.record.path)
    assert [e["name"] for e in events if e["event"] == "model"] == [TEACHER, INT8_TEACHER, "L1"]
    assert all(e["quality"]["test"] is None for e in events if e["event"] == "model")
    assert events[-1]["event"] == "verdict"
    assert events[-1]["chosen"] is None
    assert events[-1]["sentence"] == "Nothing kept 99.0% of the teacher's quality on dev."
    assert said == [("search", "contest: 3 systems timed side by side")]
    assert not (tmp_path / "model").exists()


def test_a_choice_that_was_made_is_not_made_again_by_another_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = entered(tmp_path, {TEACHER: 0.9, "L2": 0.9, "L1": 0.9})
    opened: list[str] = []
    monkeypatch.setattr(module, "_export", lambda contest, chosen, folder: None)

    def test(contest: Contest, chosen: System, *_: Any) -> None:
        opened.append(chosen.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_test", test)
    for speed in (3.0, 1.0):
        timed({TEACHER: 1.0, "L2": 2.0, "L1": speed}, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            finish(contest, contest.request, tmp_path, None)
    assert opened == ["L1", "L1"]
    chosen = [e for e in read(contest.record.path) if e["event"] == "choice"]
    assert [(e["name"], e["decision"]) for e in chosen] == [("L1", "chosen")]


def test_a_search_is_finished_when_its_verdict_is_written(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    record.write("choice", name="L1", decision="chosen", reason="")
    assert not finished(record)
    record.write("verdict", chosen="L1")
    assert finished(record)
