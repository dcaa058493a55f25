import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leanformer.data import Dataset, Examples, Source, Task
from leanformer.distill.objectives import Cosine, Vectors
from leanformer.search.request import Request, claim, examples_of

ASKED = Request(model="teacher", data=Source(path="texts.tsv"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keep": 0.0}, r"keep: 0.0 is not above 0 and at most 1"),
        ({"keep": 99.0}, "keep: 99.0 is not above 0 and at most 1"),
        ({"minutes": 0.0}, "minutes: 0.0 is not above 0"),
        ({"max_length": 7}, "max_length: 7 is not between 8"),
        ({"teacher_epochs": 0.0}, "teacher_epochs: 0.0 is not above 0"),
        ({"student_epochs": -1.0}, "student_epochs: -1.0 is not above 0"),
        ({"min_count": 0}, "min_count: 0 is not at least 1"),
        ({"threads": -1}, "threads: -1 is not between 0"),
        ({"seed": -3}, "seed: -3 is not at least 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ASKED, **fields)


def test_the_same_request_resumes_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "lean"
    claim(out, ASKED)
    (out / "record.jsonl").write_text("")
    claim(out, replace(ASKED))
    assert json.loads((out / "request.json").read_text())["keep"] == 0.99


def test_a_search_may_go_on_on_another_device(tmp_path: Path) -> None:
    out = tmp_path / "lean"
    asked = Request(model="m", data=Source(path="d"), device="cuda")
    claim(out, asked)
    claim(out, replace(asked, device="cpu"))
    assert json.loads((out / "request.json").read_text())["device"] == "auto"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    claim(tmp_path, ASKED)
    assert (tmp_path / "request.json").is_file()


@pytest.mark.parametrize("fields", [{"keep": 0.5}, {"seed": 1}, {"model": "other"}])
def test_another_request_is_refused_and_changes_nothing(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    claim(tmp_path, ASKED)
    before = (tmp_path / "request.json").read_text()
    with pytest.raises(
        ValueError, match=r"holds a search with other settings .* name another --out"
    ):
        claim(tmp_path, replace(ASKED, **fields))
    assert (tmp_path / "request.json").read_text() == before


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(FileExistsError, match="exists and is not empty; name another folder"):
        claim(tmp_path, ASKED)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "lean"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="is a file; name a folder with --out"):
        claim(out, ASKED)


def test_a_full_disk_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr("leanformer.core.files.shutil.disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="1024 MiB are needed, 1 MiB are free"):
        claim(tmp_path / "lean", ASKED)
    assert not (tmp_path / "lean").exists()


def test_few_examples_are_seen_more_often() -> None:
    teacher = [ASKED.teacher_setup(count).epochs for count in (500, 3_000, 100_000)]
    assert teacher == [12, 8, 4]
    student = [ASKED.student_setup(count).epochs for count in (500, 12_000, 10**6)]
    assert student == [30, 15, 3]
    asked = replace(ASKED, teacher_epochs=2.0, student_epochs=1.5)
    assert (asked.teacher_setup(10).epochs, asked.student_setup(10).epochs) == (2.0, 1.5)


def test_unlabelled_texts_count_as_texts_to_learn_on() -> None:
    texts = Examples(texts=["a", "b"], labels=[0, 1])
    task = Task(kind="classification", labels=("x", "y"))
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    assert examples_of(dataset) == 2
    assert examples_of(replace(dataset, unlabelled=Examples(texts=["c", "d", "e"]))) == 5


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens", "embedding"])
def test_every_task_is_distilled_from_output_and_hidden_states(kind: str) -> None:
    first, second = (type(objective).technique for objective in ASKED.objectives(kind))  # type: ignore[attr-defined]
    expected = {"regression": "logits", "embedding": "cosine"}.get(kind, "soft-targets")
    assert (first, second) == (expected, "hidden-states")


def test_vectors_that_are_not_normalized_are_distilled_with_their_lengths() -> None:
    free, unit = (ASKED.objectives("embedding", normalized=one)[0] for one in (False, True))
    assert (free, unit) == (Vectors(weight=5.0), Cosine(weight=10.0))
