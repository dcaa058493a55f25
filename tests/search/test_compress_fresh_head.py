"""Whose head a search begins with: the model's own, in its order of labels, or a new one."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_data

import leanformer.search
from leanformer.cli import main
from leanformer.data import Source
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.search import Request, compress
from leanformer.search.contest import Contest


class Entered(Exception):
    """The search has its teacher."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tiny_data.write_data(tmp_path / "animals")


def write_head(folder: Path, *labels: str) -> Path:
    model, tokenizer = tiny_model("bert", num_labels=len(labels))
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: number for number, label in enumerate(labels)}
    save_model(model, tokenizer, folder)
    return folder


def teacher_of(request: Request, out: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Any]:
    """The folder of the teacher, and the data that the contest judges it by."""

    def entered(self: Contest, folder: str, *_: Any) -> None:
        raise Entered(Path(folder), self.dataset)

    monkeypatch.setattr(Contest, "enter_teacher", entered)
    with pytest.raises(Entered) as stop:
        compress(request, out)
    folder, dataset = stop.value.args
    return folder, dataset


def test_a_head_for_other_labels_is_replaced_on_request(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_head(tmp_path / "model", "NEGATIVE", "POSITIVE", "NEITHER")
    asked: dict[str, Any] = {
        "model": str(folder), "data": Source(path=str(data)), "teacher_epochs": 8.0, "threads": 1,
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"3 labels \(NEGATIVE, .*--fresh-head \(compress\)"):
        compress(Request(**asked), tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    monkeypatch.setattr(
        Request, "teacher_setup", lambda self, _: tiny_data.TrainSetup(epochs=8, learning_rate=3e-3)
    )
    found, _ = teacher_of(Request(**asked, fresh_head=True), tmp_path / "lean", monkeypatch)
    assert found.is_relative_to(tmp_path / "lean")
    model, _ = load_model(found, "classification")
    assert model.config.id2label == {0: "animal", 1: "money"}
    assert model.config.problem_type == "single_label_classification"


def test_the_data_take_the_heads_order(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_head(tmp_path / "model", "money", "animal")
    request = Request(model=str(folder), data=Source(path=str(data)), threads=1)
    found, dataset = teacher_of(request, tmp_path / "lean", monkeypatch)
    assert found == folder  # as it is, not trained again
    assert dataset.task.labels == ("money", "animal")
    run = json.loads((tmp_path / "lean" / "record.jsonl").read_text().splitlines()[0])
    assert run["task"]["labels"] == ["money", "animal"]


@pytest.mark.parametrize(("options", "expected"), [([], False), (["--fresh-head"], True)])
def test_the_option(
    options: list[str], expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def search(request: Request, out: Path, **_: Any) -> Path:
        asked.append(request)
        return out

    monkeypatch.setattr(leanformer.search, "compress", search)
    words = ["leanformer", "compress", "model", "data.tsv", "--out", str(tmp_path), *options]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        main()
    assert [request.fresh_head for request in asked] == [expected]
