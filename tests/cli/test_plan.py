"""`--dry-run`: the plan is said, everything is checked, and nothing is written or trained."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from leanformer.search.students.ladder import ladder

_RECIPE = """
model = "{model}"
[data]
path = "{data}"
[[steps]]
use = "shrink"
layers = 1
[[steps]]
use = "int8"
"""


def _tree(folder):
    return sorted((str(p), p.stat().st_mtime_ns) for p in folder.rglob("*"))


@pytest.fixture
def place(tmp_path, teacher, data):
    """A folder with a model, data with a leak and a label that looks like markup, and a recipe."""
    shutil.copytree(teacher, tmp_path / "model")
    shutil.copytree(data, tmp_path / "data")
    train = (tmp_path / "data" / "train.tsv").read_text().splitlines()
    with (tmp_path / "data" / "test.tsv").open("a") as file:
        file.write(f"{train[1]}\n")
    (tmp_path / "small.toml").write_text(_RECIPE.format(model="model", data="data"))
    return tmp_path


def test_a_fresh_process_says_the_plan_and_writes_nothing(place):
    before = _tree(place)
    code = "from leanformer.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "compress", "model", "data", "--dry-run"],
        cwd=place,
        env={**os.environ, "COLUMNS": "50"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert _tree(place) == before
    told = " ".join(ended.stdout.split())
    names = [rung.name for rung in ladder(2)]
    assert f"Students up to {len(names)}, cut from the teacher: {names[0]}" in told
    assert "! leak: 1 of the 17 rows of test (5.9 %)" in ended.stdout
    assert "Nothing was trained or written" in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_a_recipe_says_its_steps_and_writes_nothing(run, place, monkeypatch):
    monkeypatch.chdir(place)
    before = _tree(place)
    code, shown, said = run("run", "small.toml", "--dry-run")
    assert (code, said) == (0, "")
    assert "  Steps     1. shrink\n            2. int8\n" in shown
    assert _tree(place) == before


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("data/dev.tsv", "the fox\tcat\n", "label 'cat' is not among the training labels"),
        ("lean/notes.txt", "mine", "exists and is not empty"),
        ("model/config.json", "{", "config.json"),
    ],
)
def test_what_is_wrong_is_said(run, place, monkeypatch, file, text, message):
    monkeypatch.chdir(place)
    (place / file).parent.mkdir(exist_ok=True)
    with (place / file).open("a") as out:
        out.write(text)
    before = _tree(place)
    code, shown, said = run("compress", "model", "data", "--dry-run")
    assert (code, shown) == (2, "")
    assert message in said
    assert _tree(place) == before


def test_the_folder_of_another_recipe_is_refused(run, place, monkeypatch):
    monkeypatch.chdir(place)
    settings = ("--set", "measure=false", "--set", 'steps=[{use="shrink",layers=1}]')
    assert run("run", "small.toml", "--out", "out", *settings)[0] == 0
    before = _tree(place)
    assert run("run", "small.toml", "--out", "out", *settings, "--dry-run")[0] == 0
    code, _, said = run("run", "small.toml", "--out", "out", "--set", "seed=1", "--dry-run")
    assert _tree(place) == before
    assert (code, "out holds other work, which differs in" in said) == (2, True), said


def test_a_run_says_its_plan_first_and_keeps_it(run, place, monkeypatch):
    monkeypatch.chdir(place)
    settings = ("--set", "measure=false", "--set", 'steps=[{use="shrink",layers=1}]')
    _, dry, _ = run("run", "small.toml", "--out", "out", "--dry-run", *settings)
    code, _, said = run("run", "small.toml", "--out", "out", *settings)
    assert code == 0, said
    plan = dry.partition("\n\nNothing was trained")[0]
    assert said.startswith(plan)
    events = [json.loads(line) for line in (place / "out" / "record.jsonl").open()]
    assert [event["event"] for event in events][:2] == ["run", "plan"]
    assert events[1]["warnings"][0].startswith("leak: 1 of the 17 rows")
    run("run", "small.toml", "--out", "out", *settings)
    events = [json.loads(line) for line in (place / "out" / "record.jsonl").open()]
    assert sum(event["event"] == "plan" for event in events) == 1


@pytest.mark.parametrize("label", ["[/b]", "[red]x", "<b>y</b>"])
def test_labels_with_brackets_are_shown_as_they_are(run, place, monkeypatch, label):
    monkeypatch.chdir(place)
    for name in ("train", "dev", "test"):
        path = place / "data" / f"{name}.tsv"
        path.write_text(path.read_text().replace("\tanimal", f"\t{label}"))
    code, shown, _ = run("compress", "model", "data", "--fresh-head", "--dry-run")
    assert code == 0
    assert f"\n  {label}" in shown
