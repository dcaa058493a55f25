import errno
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from search.whole import measure_briefly

from leanformer.core.quantity import Quantity
from leanformer.core.storage.lock import locked_folder
from leanformer.runtime.export import export_folder

_RECIPE = """
model = "{model}"
keep = 0.5
[data]
path = "{data}"
[[steps]]
use = "shrink"
layers = 1
[[steps]]
use = "distill"
objectives = [{{ use = "soft-targets", temperature = 2.0 }}]
train = {{ epochs = 2, learning_rate = 1e-3, batch_size = 16 }}
require_improvement = false
[[steps]]
use = "int8"
texts = 8
"""


@pytest.fixture
def recipe(tmp_path, teacher, data):
    path = tmp_path / "small.toml"
    path.write_text(_RECIPE.format(model=teacher, data=data))
    return path


@pytest.mark.slow
def test_a_recipe_ends_with_model_record_and_report(run, recipe, tmp_path, monkeypatch):
    short = partial(export_folder, candidates=[("openvino", "int8")])  # a race takes long
    monkeypatch.setattr("leanformer.search.finish.export_folder", short)
    measure_briefly(monkeypatch)
    memory = Quantity(1.0, "bytes")  # test_compress.py measures that of every form
    monkeypatch.setattr("leanformer.measure.folders.peak_memory", lambda *_, **__: memory)
    out = tmp_path / "out"
    code, shown, said = run(
        "run", recipe, "--out", out, "--set", "steps[1].objectives[0].temperature=4"
    )
    assert code == 0, said
    paths, _, verdict = shown.partition("\n\n")
    assert [line.split()[0] for line in paths.splitlines()] == ["model", "record", "report"]
    assert "Kept: dev (" in verdict
    assert "Dev also chose among the evaluations of a training" in verdict
    assert "<html" in (out / "report.html").read_text()
    events = [json.loads(line) for line in (out / "record.jsonl").open()]
    distilled = next(event for event in events if event.get("step") == "distill")
    assert distilled["settings"]["objectives"][0]["temperature"] == 4
    assert events[-1]["event"] == "verdict"


def test_a_recipe_without_measures_ends_with_the_model(run, recipe, tmp_path):
    out = tmp_path / "out"
    last = ["--set", 'steps[2]={use="cut-vocabulary"}']
    code, shown, said = run("run", recipe, "--out", out, "--set", "measure=false", *last)
    assert code == 0, said
    assert "report" not in shown
    assert (out / "02-cut-vocabulary" / "model" / "model.safetensors").is_file()


def test_another_run_does_not_take_the_folder_over(run, recipe, tmp_path):
    out = tmp_path / "out"
    settings = ["--set", "measure=false", "--set", 'steps[2]={use="cut-vocabulary"}']
    assert run("run", recipe, "--out", out, *settings)[0] == 0
    code, _, said = run("run", recipe, "--out", out, *settings, "--set", "seed=1")
    assert code == 2
    assert "holds other work, which differs in seed (0 → 1); name another folder" in said


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps[0].layer=2", "did you mean 'layers'?"),
        ("steps[0].use=shrnk", "did you mean 'shrink'?"),
        ("steps[1].objectives[0].temperature=-1", "temperature: -1.0 is not above 0"),
        ("data.path=./nowhere.tsv", "nowhere.tsv: no such file or folder"),
        ("model=./nowhere", "there is no such folder"),
        ("steps=[]", "steps: none is named"),
        ("seed", "write path=value"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    run, recipe, tmp_path, setting, message
):
    out = tmp_path / "out"
    code, shown, said = run("run", recipe, "--out", out, "--set", setting)
    assert (code, shown) == (2, "")
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not out.exists()


def test_a_recipe_that_is_no_toml_is_refused(run, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("model = \n")
    code, _, said = run("run", path)
    assert code == 2
    assert "bad.toml: not valid TOML" in said


def test_a_recipe_that_is_missing_is_refused(run):
    code, _, said = run("run", "nowhere.toml")
    assert code == 2
    assert "nowhere.toml: no such recipe" in said


@pytest.mark.parametrize("command", ["run", "compress"])
def test_a_folder_in_use_is_refused_before_anything_is_changed(
    run, recipe, teacher, data, tmp_path, command
):
    out, done = tmp_path / "out", threading.Event()

    def hold(held):
        with locked_folder(out, "leanformer run another.toml"):
            held.set()
            done.wait()

    with ThreadPoolExecutor() as threads:
        holder = threads.submit(hold, held := threading.Event())
        held.wait()
        before = {file: file.read_bytes() for file in out.iterdir()}
        words = [recipe] if command == "run" else [teacher, data]
        code, shown, said = run(command, *words, "--out", out)
        after = {file: file.read_bytes() for file in out.iterdir()}
        done.set()
        holder.result()
    assert (code, shown) == (2, "")
    assert "`leanformer run another.toml`, works on it; wait until it has ended" in said
    assert len(said.strip().splitlines()) == 1
    assert before == after


def test_a_full_disk_is_no_wrong_usage(run, recipe, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("leanformer.core.storage.disk.os.write", full)
    code, _, said = run("run", recipe, "--out", tmp_path / "out", "--set", "measure=false")
    assert code == 1
    assert "out could not be written: No space left on device" in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
