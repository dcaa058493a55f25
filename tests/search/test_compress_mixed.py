"""Searches in which n-grams and cascades take part."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search.whole import Search, one_student, quick, write_data, write_teacher

import leanformer
from leanformer.core.record import Record
from leanformer.runtime.manifest import read_manifest
from leanformer.search import Request, compress
from leanformer.search.entry import NGRAMS, TEACHER
from leanformer.search.finish import finished

SEARCH = sys.modules["leanformer.search.compress"]
CHAINS = "leanformer.search.entrants.chains"


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> Request:
    place = tmp_path_factory.mktemp("mixed")
    source = write_data(place / "data", "classification")
    model = str(write_teacher(place / "teacher", source))
    return Request(
        model=model, data=source, keep=0.5, minutes=1000.0, augment=0, student_epochs=1.0, threads=1
    )


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without int8 graphs, whose export takes seconds."""
    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
    with quick(mixed=True):
        yield


def absent(*_: Any, **__: Any) -> None:
    raise ImportError("not installed here")


def test_where_ngrams_keep_enough_no_transformer_is_trained_or_exported(
    request_: Request, mixed: None, tmp_path: Path
) -> None:
    said: list[str] = []
    compress(request_, tmp_path / "lean", watch=lambda _, news: said.append(str(news)))
    done = Search(request_, tmp_path / "lean")
    assert any(text.startswith("no student is trained") for text in said)
    assert [e["name"] for e in done.events("step")] == []
    (verdict,) = done.events("verdict")
    assert (verdict["chosen"], verdict["exported"], verdict["outcome"]) == (NGRAMS, NGRAMS, "kept")
    assert read_manifest(tmp_path / "lean" / "model").system == "hashed-ngrams"
    test = done.dataset.test
    answers = leanformer.load(tmp_path / "lean" / "model", threads=1).predict(test.texts)
    labels = done.dataset.task.labels
    right = [a.label == labels[b] for a, b in zip(answers, test.labels or (), strict=True)]
    told = next(e for e in reversed(done.events("model")) if e["name"] == NGRAMS)
    assert sum(right) / len(right) == pytest.approx(told["quality"]["test"])
    assert finished(Record(tmp_path / "lean" / "record.jsonl"))
    assert "No transformer is needed" in (tmp_path / "lean" / "report.html").read_text()


def test_a_cascade_is_chosen_exported_and_says_who_answers(
    request_: Request, mixed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{CHAINS}.RATES", (1.0, 0.5))  # or n-grams alone would do
    monkeypatch.setattr(SEARCH, "speed_up_left", lambda contest, chain: 1.0)  # no student
    compress(request_, tmp_path / "lean")
    done = Search(request_, tmp_path / "lean")
    name = f"{NGRAMS} → {TEACHER}"
    (verdict,) = done.events("verdict")
    assert (verdict["chosen"], verdict["outcome"]) == (name, "kept")
    gates = {e["name"]: e for e in done.events("gate")}
    assert gates[name]["rate"] == pytest.approx(0.5, abs=0.1)
    served = leanformer.load(tmp_path / "lean" / "model", threads=1)
    answers = served.predict(done.dataset.test.texts, sources=True)
    assert {one.source for one in answers} == {NGRAMS, TEACHER}


@pytest.mark.slow
def test_what_is_portable_has_no_ngrams(
    request_: Request, mixed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_student(monkeypatch)
    compress(replace(request_, portable=True), tmp_path / "lean")
    done = Search(request_, tmp_path / "lean")
    assert NGRAMS not in {e["name"] for e in done.events("model")}
    assert done.events("gate") == []
