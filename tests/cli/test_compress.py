"""The main job on a tiny model: what it leaves, and that a killed search ends as an unkilled one."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from search.whole import measure_briefly

import leanformer
import leanformer.search
from leanformer.cli import main

_OPTIONS = ("--keep", 0.3, "--student-epochs", 6, "--minutes", 1000, "--threads", 1, "--seed", 3)
_FORMS = (("openvino", "int8"), ("openvino", "fp32"))  # that race; each is exported and tried
_PORTABLE = "--portable"  # no n-grams, which would leave students nothing to gain here


def _words(teacher, data, out):
    return [str(word) for word in ("compress", teacher, data, "--out", out, *_OPTIONS, _PORTABLE)]


def _events(out):
    return [json.loads(line) for line in (out / "record.jsonl").open()]


def _decisions(out):
    """What was decided, without the choice by speed, which is the clock's."""
    choices = [event for event in _events(out) if event["event"] == "choice"]
    return [(c["name"], c["decision"], c["reason"]) for c in choices if c["decision"] != "chosen"]


@pytest.fixture(scope="module")
def compressed(tmp_path_factory, teacher, data):
    out = tmp_path_factory.mktemp("compressed") / "lean"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["leanformer", *_words(teacher, data, out)])
        patch.setattr(
            sys.modules["leanformer.search.compress"], "layer_times", lambda contest: None
        )
        patch.setattr("leanformer.search.finish.DEFAULT", _FORMS)
        measure_briefly(patch)
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return out


@pytest.mark.slow
def test_it_leaves_a_model_that_answers(compressed):
    answers = leanformer.load(compressed / "model").predict(
        ["the lazy dog", "charged my card twice"]
    )
    assert {answer.label for answer in answers} <= {"animal", "money"}
    assert all(0 <= answer.score <= 1 for answer in answers)


@pytest.mark.slow
def test_the_record_holds_every_part_of_the_work(compressed):
    events = _events(compressed)
    kinds = {event["event"] for event in events}
    assert {"run", "model", "step", "training", "choice", "backends", "slices", "verdict"} <= kinds
    run = next(event for event in events if event["event"] == "run")
    assert run["command"].startswith("leanformer compress ")
    assert run["data"]["train"] == 48
    steps = [event for event in events if event["event"] == "step"]
    assert {step["step"] for step in steps} == {"cut-vocabulary", "shrink", "distill", "int8"}
    assert all(proof["ok"] for step in steps for proof in step["proofs"])


@pytest.mark.slow
def test_the_test_split_is_opened_for_the_verdict_only(compressed):
    models = [event for event in _events(compressed) if event["event"] == "model"]
    tested = {model["name"] for model in models if model["quality"]["test"] is not None}
    exported = _events(compressed)[-1]["exported"]  # the race may choose another precision
    baselines = {"teacher · PyTorch fp32", "teacher · OpenVINO int8", "TF-IDF · linear model"}
    assert tested == {*baselines, exported}


@pytest.mark.slow
def test_the_report_lies_beside_the_record(compressed):
    assert "<html" in (compressed / "report.html").read_text()


@pytest.mark.slow
def test_another_search_does_not_take_the_folder_over(compressed, run, teacher, data):
    before = (compressed / "record.jsonl").read_text()
    code, _, said = run("compress", teacher, data, "--out", compressed, "--seed", 7)
    assert code == 2
    assert "holds other work, which differs in" in said
    assert "seed (3 → 7)" in said
    assert (compressed / "record.jsonl").read_text() == before


@pytest.mark.slow
def test_a_killed_search_ends_with_the_decisions_of_an_unkilled_one(
    compressed, run, teacher, data, tmp_path, monkeypatch
):
    out = tmp_path / "lean"
    words = _words(teacher, data, out)
    code = (
        "import sys, leanformer.search; from leanformer.cli import main; "
        "sys.modules['leanformer.search.compress'].layer_times = lambda contest: None; main()"
    )
    search = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL)
    _wait_for_a_training(search, out / "record.jsonl")
    os.kill(search.pid, signal.SIGKILL)
    assert search.wait() == -signal.SIGKILL
    kept = (out / "record.jsonl").read_text()
    assert '"verdict"' not in kept

    # What follows the search is not resumed but done, as in `compressed`: no need to do it again.
    module = sys.modules["leanformer.search.compress"]  # the package has a function of this name
    monkeypatch.setattr(module, "finish", lambda *_, **__: None)
    monkeypatch.setattr(module, "layer_times", lambda contest: None)  # matrix products decide
    monkeypatch.setattr("leanformer.cli.verdict.tell_verdict", lambda *_: None)
    ended, shown, said = run(*words)
    assert ended == 0, said
    assert shown.strip().endswith(str(out / "report.html"))
    assert _decisions(out) == _decisions(compressed)
    assert _decisions(out)


def _wait_for_a_training(search, record):
    """Until the first student is in the middle of its training."""
    for _ in range(6000):
        if record.is_file() and '"event": "training"' in record.read_text():
            return
        assert search.poll() is None, "the search ended before it could be killed"
        time.sleep(0.05)
    search.kill()
    pytest.fail("no training began within five minutes")
