import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runtime_samples import classifier
from search.made_up import answers_right, contest_with, rates

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record, read
from leanformer.search import finish as module
from leanformer.search.contest import Contest
from leanformer.search.entrants.simplest import enter_simplest
from leanformer.search.entry import INT8_TEACHER, SIMPLEST, TEACHER, Entry
from leanformer.search.finish import finish, finished

__all__ = ["classifier"]


def timed(values: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "measure_folders", lambda *_, **__: (rates(values), None))


def test_where_nothing_keeps_the_quality_the_verdict_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_with(tmp_path, {TEACHER: 900, INT8_TEACHER: 500, "L1": 400})
    timed({TEACHER: 1.0, INT8_TEACHER: 2.0, "L1": 3.0}, monkeypatch)
    said: list[Any] = []
    contest.watch = lambda *args: said.append(args)
    assert finish(contest, tmp_path) is None
    events = read(contest.record.path)
    assert [e["name"] for e in events if e["event"] == "model"] == [TEACHER, INT8_TEACHER, "L1"]
    assert all(e["quality"]["test"] is None for e in events if e["event"] == "model")
    assert events[-1]["event"] == "verdict"
    assert (events[-1]["chosen"], events[-1]["outcome"]) == (None, "not kept")
    assert events[-1]["sentence"] == "Nothing kept 99 % of the teacher's quality on dev."
    assert said == [("search", "contest: 3 systems timed side by side")]
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("right", "refuted", "outcome"),
    [(1000, False, "kept"), (990, False, "unproven"), (1000, True, "not kept")],
)
def test_the_verdict_keeps_the_promise_and_what_became_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: int, refuted: bool, outcome: str
) -> None:
    contest = contest_with(tmp_path, {TEACHER: 1000, "L1": right})
    timed({TEACHER: 1.0, "L1": 3.0}, monkeypatch)
    monkeypatch.setattr(module, "_export", lambda contest, chosen, folder: chosen)
    monkeypatch.setattr(module, "_test", lambda *_: (None, None))
    monkeypatch.setattr(module, "refutes", lambda *_: refuted)
    chosen = finish(contest, tmp_path, note="dev was small")
    assert chosen is not None
    assert chosen.name == "L1"
    verdict = read(contest.record.path)[-1]
    assert (verdict["event"], verdict["chosen"], verdict["outcome"]) == ("verdict", "L1", outcome)
    assert verdict["promise"] == contest.promise("L1").json()
    assert (verdict["refuted"], verdict["note"]) == (refuted, "dev was small")
    assert verdict["majority"]["label"] == "music"


def test_a_choice_that_was_made_is_not_made_again_by_another_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_with(tmp_path, {TEACHER: 900, "L2": 900, "L1": 900})
    opened: list[str] = []
    monkeypatch.setattr(module, "_export", lambda contest, chosen, folder: chosen)

    def test(contest: Contest, chosen: Entry, *_: Any) -> None:
        opened.append(chosen.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_test", test)
    for speed in (3.0, 1.0):
        timed({TEACHER: 1.0, "L2": 2.0, "L1": speed}, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            finish(contest, tmp_path)
    assert opened == ["L1", "L1"]
    chosen = [e for e in read(contest.record.path) if e["event"] == "choice"]
    assert [(e["name"], e["decision"]) for e in chosen] == [("L1", "chosen")]


def test_a_choice_of_a_version_that_proved_nothing_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_with(tmp_path, {TEACHER: 900, "L2": 900, "L1": 100})
    contest.record.write("choice", name="L1", decision="chosen", reason="the fastest that holds")
    timed({TEACHER: 1.0, "L2": 2.0, "L1": 3.0}, monkeypatch)
    monkeypatch.setattr(module, "_export", lambda contest, chosen, folder: chosen)
    monkeypatch.setattr(module, "_test", lambda *_: (None, None))
    monkeypatch.setattr(module, "refutes", lambda *_: False)
    chosen = finish(contest, tmp_path)
    assert chosen is not None
    assert chosen.name == "L2"


def test_what_was_exported_is_not_raced_again_when_the_test_split_may_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_with(tmp_path, {TEACHER: 900, "L1": 900})
    timed({TEACHER: 1.0, "L1": 3.0}, monkeypatch)
    races: list[str] = []

    def race(contest: Contest, chosen: Entry, folder: Path) -> None:
        races.append(chosen.name)
        folder.mkdir(exist_ok=True)
        contest.describe(folder, chosen.backend, chosen.precision)
        contest.record.write("backends", model=chosen.name, rows=[])

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_race", race)
    monkeypatch.setattr(module, "_test", stop)
    for expected in (["L1"], ["L1"]):
        with pytest.raises(KeyboardInterrupt):
            finish(contest, tmp_path)
        assert races == expected
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(KeyboardInterrupt):
        finish(contest, tmp_path)
    assert races == ["L1", "L1"]


@pytest.mark.parametrize(
    ("goal", "by", "kept"),
    [
        ("throughput", "throughput", None),
        ("latency", "latency", None),
        ("size", "throughput", ("pytorch", "fp32")),
        ("memory", "throughput", ("pytorch", "fp32")),
    ],
)
def test_the_race_is_for_what_the_search_is_for(
    goal: Any, by: str, kept: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_with(tmp_path, {TEACHER: 900, "L1": 900})
    contest.request = replace(contest.request, goal=goal)
    asked: dict[str, Any] = {}

    def export(*_: Any, **settings: Any) -> tuple[list[Any], list[Any]]:
        asked.update(settings)
        return [], []

    monkeypatch.setattr(module, "export_folder", export)
    module._race(contest, contest.entries["L1"], tmp_path / "model")
    assert (asked["by"], asked["kept"]) == (by, kept)


def test_the_simplest_rival_is_timed_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_with(tmp_path, {TEACHER: 900, "L1": 100})
    enter_simplest(contest, tmp_path / "simplest")
    asked: dict[str, Any] = {}

    def measure(served: Any, *_: Any, **__: Any) -> Any:
        asked.update(served)
        return rates(dict.fromkeys(served, 2.0)), None

    monkeypatch.setattr(module, "measure_folders", measure)
    finish(contest, tmp_path)
    assert asked[SIMPLEST] == (tmp_path / "simplest", "scikit-learn", "fp64")
    first, last = [e for e in read(contest.record.path) if e.get("name") == SIMPLEST]
    assert last["quantities"]["throughput"]["value"] == 2.0
    assert first["quantities"]["fit"]["unit"] == "s"
    assert first["system"] == "ngrams"


def test_a_search_is_finished_when_its_verdict_is_written(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    record.write("choice", name="L1", decision="chosen", reason="")
    assert not finished(record)
    record.write("verdict", chosen="L1")
    assert finished(record)


@pytest.mark.parametrize("damage", ["gone", "emptied", "cut", "altered"])
def test_a_model_that_is_gone_is_not_called_finished(
    tmp_path: Path, classifier: Path, damage: str
) -> None:
    record, model = Record(tmp_path / "record.jsonl"), tmp_path / "model"
    record.write("backends", model="L1", rows=[])
    record.write("verdict", chosen="L1")
    shutil.copytree(classifier, model)
    assert finished(record)
    file = model / ("leanformer.json" if damage == "altered" else "model.safetensors")
    data = file.read_bytes()
    if damage == "gone":
        shutil.rmtree(model)
    else:
        changed = {"emptied": b"", "cut": data[:-9], "altered": data.replace(b"32", b"16", 1)}
        file.write_bytes(changed[damage])
    with pytest.raises(
        ValueError, match=r"all is finished, .*gone or damaged.*remove record\.json"
    ):
        finished(record)


def test_the_verdict_speaks_of_the_form_that_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the race serves fp32, fp32 is judged, timed beside the others, and tested."""
    contest = contest_with(tmp_path, {TEACHER: 1000, "L1": 1000})
    runs: list[list[str]] = []

    footprint = {"memory": Quantity(5.0, "bytes"), "size": Quantity(3.0, "bytes")}
    known_at: list[Any] = []

    def measure(served: Any, *_: Any, known: Any, **__: Any) -> Any:
        runs.append(list(served))
        known_at.append(known)
        found = rates(dict.fromkeys(served, float(len(runs))))
        return {name: quantities | footprint for name, quantities in found.items()}, None

    def race(contest: Contest, chosen: Entry, folder: Path) -> None:
        folder.mkdir()
        contest.describe(folder, "onnxruntime", "fp32")

    tested: list[str] = []

    def test(contest: Contest, exported: Entry) -> tuple[None, None]:
        tested.append(exported.name)
        return None, None

    monkeypatch.setattr(module, "measure_folders", measure)
    monkeypatch.setattr(module, "_race", race)
    monkeypatch.setattr(module, "_test", test)
    monkeypatch.setattr(module, "open_system", lambda *_: None)
    monkeypatch.setattr(Contest, "judge", lambda *_: answers_right(990))
    monkeypatch.setattr(module, "refutes", lambda *_: False)
    finish(contest, tmp_path)
    name = "L1 · ONNX Runtime fp32"
    assert runs == [[TEACHER, "L1"], [TEACHER, "L1", name]]
    assert known_at == [{}, {TEACHER: footprint, "L1": footprint}]
    assert tested == [name]
    verdict = read(contest.record.path)[-1]
    assert (verdict["chosen"], verdict["exported"]) == ("L1", name)
    assert verdict["promise"]["kept"] == pytest.approx(0.99)
    model = [e for e in contest.known("model") if e["name"] == name][-1]
    assert (model["precision"], model["quality"]["dev"]) == ("fp32", 0.99)
    assert model["quantities"]["throughput"]["value"] == 2.0
