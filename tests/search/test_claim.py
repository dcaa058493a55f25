"""Whose folder it is: the same search goes on, a changed one uses what is true, another is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search.toy import dataset_of

from leanformer.core.record import Record
from leanformer.data import Dataset, Source
from leanformer.search.claim import claim, opened_test_before
from leanformer.search.opening import Opened
from leanformer.search.request import Request

ASKED = Request(model="teacher", data=Source(path="texts.tsv"))
DATA = dataset_of("classification")
OPENED = Opened(
    model=None,
    tokenizer=None,
    layers=3,
    content={"model": {"weights": "blake2b:1", "config": "blake2b:2"}, "student": None},
)


def test_the_same_request_goes_on(tmp_path: Path) -> None:
    out, said = tmp_path / "lean", list[str]()
    claim(out, ASKED, DATA, OPENED)
    Record(out / "record.jsonl").write("run")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    moved = replace(ASKED, model="./moved", data=Source(path="renamed.tsv"), device="cpu")
    claim(out, moved, DATA, OPENED, said.append)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert said == []
    assert json.loads((out / "request.json").read_text())["asked"]["keep"] == 0.99


def relabelled() -> Dataset:
    labels: Any = DATA.train.labels
    return replace(DATA, train=replace(DATA.train, labels=[1 - labels[0], *labels[1:]]))


@pytest.mark.parametrize(
    ("asked", "dataset", "content", "message"),
    [
        (ASKED, relabelled(), {}, "the labels of train; name another folder"),
        (ASKED, DATA, {"model": {"weights": "blake2b:9"}}, "the weights of the model"),
        (ASKED, DATA, {"student": {"weights": "blake2b:9"}}, "the weights of the encoder that"),
        (replace(ASKED, seed=3), DATA, {}, r"seed \(0 → 3\)"),
        (replace(ASKED, max_length=64), DATA, {}, r"max_length \(128 → 64\)"),
    ],
)
def test_another_search_is_refused_by_name_and_changes_nothing(
    tmp_path: Path, asked: Request, dataset: Dataset, content: dict[str, Any], message: str
) -> None:
    claim(tmp_path, ASKED, DATA, OPENED)
    before = (tmp_path / "request.json").read_text()
    other = replace(OPENED, content={**OPENED.content, **content})
    with pytest.raises(ValueError, match=f"holds other work, which differs in .*{message}"):
        claim(tmp_path, asked, dataset, other)
    assert (tmp_path / "request.json").read_text() == before


@pytest.mark.parametrize(
    "fields", [{"keep": 0.5}, {"minutes": 90.0}, {"threads": 1}, {"student_epochs": 2.0}]
)
def test_a_changed_request_goes_on_with_a_new_record(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    said: list[str] = []
    claim(tmp_path, ASKED, DATA, OPENED)
    record = Record(tmp_path / "record.jsonl")
    record.write("verdict")
    claim(tmp_path, replace(ASKED, **fields), DATA, OPENED, said.append)
    assert not record.path.exists()
    assert next(iter(fields)) in said[0]
    assert said[0].endswith("what is trained is used again")
    assert "opened before, for an earlier choice (record.1.jsonl)" in opened_test_before(tmp_path)


def test_the_test_split_is_known_only_after_a_verdict(tmp_path: Path) -> None:
    claim(tmp_path, ASKED, DATA, OPENED)
    Record(tmp_path / "record.jsonl").write("choice")
    claim(tmp_path, replace(ASKED, keep=0.5), DATA, OPENED)
    assert opened_test_before(tmp_path) == ""


@pytest.mark.parametrize("text", ["{}", '{"content": 3}', '{"keep": 0.9, "model": "m"}'])
def test_a_description_that_says_nothing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "request.json").write_text(text)
    with pytest.raises(ValueError, match=r"request.json does not say what the work in this folder"):
        claim(tmp_path, ASKED, DATA, OPENED)


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(FileExistsError, match="exists and is not empty; name another folder"):
        claim(tmp_path, ASKED, DATA, OPENED)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "lean"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="is a file; name a folder with --out"):
        claim(out, ASKED, DATA, OPENED)


def test_a_full_disk_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr("leanformer.core.storage.disk.shutil.disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="1024 MiB are needed, 1 MiB are free"):
        claim(tmp_path / "lean", ASKED, DATA, OPENED)
    assert not (tmp_path / "lean").exists()


def test_a_folder_may_be_checked_without_being_claimed(tmp_path: Path) -> None:
    out = tmp_path / "lean"
    claim(out, ASKED, DATA, OPENED, write=False)
    assert not out.exists()
    claim(out, ASKED, DATA, OPENED)
    kept = (out / "request.json").read_text()
    claim(out, replace(ASKED, keep=0.5), DATA, OPENED, write=False)
    assert (out / "request.json").read_text() == kept
    with pytest.raises(ValueError, match="holds other work, which differs in seed"):
        claim(out, replace(ASKED, seed=9), DATA, OPENED, write=False)


@pytest.mark.parametrize(
    ("fields", "stay"),
    [
        ({"keep": 0.5}, {"layers", "pace"}),
        ({"goal": "size"}, {"layers", "pace", "first"}),
        ({"portable": True}, {"layers", "pace", "first"}),
        ({"minutes": 90.0}, {"layers"}),
        ({"student_epochs": 2.0}, {"layers"}),
    ],
)
def test_what_was_shortened_stays_so_unless_there_is_more_time(
    tmp_path: Path, fields: dict[str, Any], stay: set[str]
) -> None:
    claim(tmp_path, ASKED, DATA, OPENED)
    record = Record(tmp_path / "record.jsonl")
    record.write("layers", rows=[{"heads": 1.0, "ffn": 1.0, "seconds": 0.5}])
    record.write("first", name="L3")
    record.write("pace", name="L3", epochs=1.5)
    record.write("choice", name="L3", decision="kept")
    before = record.events()
    claim(tmp_path, replace(ASKED, **fields), DATA, OPENED)
    kept = [event for event in before if event["event"] in stay]
    assert record.events() == kept


def test_settings_that_are_damaged_count_as_changed(tmp_path: Path) -> None:
    claim(tmp_path, ASKED, DATA, OPENED)
    kept = tmp_path / "request.json"
    table = json.loads(kept.read_text())
    table["content"]["settings"] = 3
    kept.write_text(json.dumps(table))
    Record(tmp_path / "record.jsonl").write("pace", name="L3", epochs=1.5)
    claim(tmp_path, ASKED, DATA, OPENED)
    assert json.loads(kept.read_text())["content"]["settings"]["keep"] == 0.99
    assert not (tmp_path / "record.jsonl").exists()
