"""`leanformer train`: the command, its exit codes, and its signals."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from pretrain.toy import write_corpus
from safetensors.torch import load_file

from leanformer.cli.training_progress import TrainingWatcher, memory, short, span, status_line
from leanformer.core.record import read

RECIPE = """
model = {{ architecture = "{architecture}", layers = 2, width = 32, heads = 2 }}
tokenizer = {{ vocabulary = {vocabulary} }}
max_length = 32
log_steps = 1
report_to = []
samples = {{ tokens = 4 }}
[corpus]
paths = ["{corpus}"]
held_out = 0.1
[train]
steps = {steps}
batch_size = 8
learning_rate = 3e-3
evaluations = 2
precision = "fp32"
"""


@pytest.fixture
def recipe(tmp_path):
    corpus = write_corpus(tmp_path / "corpus.txt")

    def written(architecture="gpt2", steps=6):
        path = tmp_path / "small.toml"
        vocabulary = 300 if architecture == "gpt2" else 80
        path.write_text(RECIPE.format(**locals() | {"corpus": corpus}))
        return path

    return written


def test_a_recipe_is_trained_once_and_ends_with_model_events_and_report(run, recipe, tmp_path):
    out = tmp_path / "out"
    code, shown, said = run("train", recipe(), "--out", out)
    assert code == 0, said
    assert [line.split()[0] for line in shown.splitlines()] == ["model", "events", "report", "held"]
    assert "perplexity" in shown
    assert "bits per byte" in shown
    assert "<html" in (out / "report.html").read_text()
    assert "step 6/6" in said
    code, shown, said = run("train", recipe(), "--out", out)
    assert code == 0
    assert "done before: 6 steps; remove" in said


def test_options_say_the_common_case(run, tmp_path):
    corpus = write_corpus(tmp_path / "corpus.txt", documents=400)
    out, small = tmp_path / "out", ["model.layers=1", "model.width=32", "tokenizer.vocabulary=100"]
    words = ["train", "--texts", corpus, "--kind", "masked-lm", "--size", "mini", "--out", out]
    words += [word for setting in small for word in ("--set", setting)]
    code, shown, said = run(*words, "--dry-run")
    assert code == 0, said
    assert "masked-lm: everything fits" in shown
    assert not out.exists()
    code, shown, said = run(*words, "--set", "train.steps=1")
    assert code == 0, said
    assert "accuracy" in shown
    told = read(out / "events.jsonl")[0]
    assert told["architecture"] == "BertForMaskedLM"
    assert told["command"].startswith("leanformer train --texts")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a recipe, or texts: leanformer train --texts corpus.txt"),
        (["--texts", "a.txt", "--model", "m", "--size", "mini"], "--model, --size: the first goes"),
        (["--texts", "a.txt", "--kind", "classification"], "is not one of masked-lm, causal-lm"),
        (["--texts", "a.txt", "--architecture", "gtp2"], "did you mean 'gpt2'"),
        (["--texts", "a.txt", "--minutes", "0"], "--minutes: 0 is not above 0"),
        (["nowhere.toml"], "nowhere.toml: no such recipe"),
    ],
)
def test_wrong_usage_is_said_and_nothing_is_written(run, tmp_path, words, message):
    code, _, said = run("train", *words, "--out", tmp_path / "out")
    assert code == 2
    assert message in said
    assert not (tmp_path / "out").exists()


def test_a_recipe_and_options_do_not_mix(run, recipe, tmp_path):
    code, _, said = run("train", recipe(), "--texts", "a.txt", "--out", tmp_path / "out")
    assert code == 2
    assert "--texts: " in said
    assert "says that already" in said


def test_the_time_limit_has_an_exit_code_of_its_own(run, recipe, tmp_path):
    code, _, said = run("train", recipe(), "--out", tmp_path / "out", "--minutes", "1e-9")
    assert code == 75
    assert "stopped after step 1; the same command goes on from here" in said
    assert run("train", recipe(), "--out", tmp_path / "out")[0] == 0


def _start(*words, **more):
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **more,
    )


def _wait_for_step(record, step, process):
    """Until the record has a line of this step."""
    for _ in range(2400):
        if record.is_file() and f'"step": {step}' in record.read_text():
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    raise AssertionError(f"no step {step} within two minutes")


def test_sigterm_ends_a_training_after_its_step_and_it_goes_on(recipe, tmp_path, run):
    path, out = recipe(steps=600), tmp_path / "out"
    process = _start("leanformer", "train", path, "--out", out)
    _wait_for_step(out / "events.jsonl", 2, process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert "stopped after step" in said
    assert (out / "checkpoint").is_dir()
    done = read(out / "events.jsonl")[-1]["step"]
    assert done < 600
    code, _, said = run("train", path, "--out", out, "--minutes", "1e-9")
    assert code == 75
    assert f"stopped after step {done + 1};" in said


def test_ctrl_c_is_answered_once(recipe, tmp_path):
    process = _start("leanformer", "train", recipe(steps=600), "--out", tmp_path / "out")
    _wait_for_step(tmp_path / "out" / "events.jsonl", 1, process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, said
    assert said.count("the same command goes on from here") == 1


@pytest.mark.slow
def test_two_ranks_end_with_the_weights_of_one_also_when_they_were_stopped(run, recipe, tmp_path):
    path = recipe("bert", steps=40)
    settings = [f"model.settings.{name}_dropout_prob=0.0" for name in ("hidden", "attention_probs")]
    words = [word for setting in settings for word in ("--set", setting)]
    assert run("train", path, "--out", tmp_path / "one", *words)[0] == 0
    out = tmp_path / "two"
    ranks = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    ranks += ["-m", "leanformer", "train", path, "--out", out, *words]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    process = _start(*ranks, env=environment)
    _wait_for_step(out / "events.jsonl", 3, process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=300)
    assert "stopped after step" in said
    assert said.count("stopped after step") == 1
    process = _start(*ranks, env=environment)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    one, two = (load_file(folder / "model/model.safetensors") for folder in (tmp_path / "one", out))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-4, atol=1e-5, msg=name)
    steps = [event["step"] for event in read(out / "events.jsonl") if event["event"] == "step"]
    assert steps == list(range(1, 41))


def test_numbers_are_short():
    assert [short(n) for n in (7.0, 1234, 5.6e6, 2e9)] == ["7", "1.23k", "5.6M", "2G"]
    assert [memory(n) for n in (2**20, 3 * 2**29)] == ["1 MiB", "1.5 GiB"]
    assert [span(n) for n in (59, 150, 7300)] == ["59 s", "2 min", "2 h 1 min"]


def status(**fields):
    usual = {"step": 1, "steps": 9, "tokens": 100, "loss": 2.5, "tokens_per_second": 1e4}
    more = {"mfu": None, "memory": None, "seconds_left": 8, "evaluation": None}
    return SimpleNamespace(**{**usual, **more, **fields})


def test_a_line_tells_what_is_known(capsys):
    assert status_line(status()) == "step 1/9  loss 2.5000  100 tokens  10k tokens/s  8 s left"
    found = SimpleNamespace(loss=2.0, perplexity=7.389, accuracy=0.25, word_perplexity=None)
    line = status_line(status(mfu=0.31, memory=2**30, evaluation=found))
    assert "held out 2.0000 (perplexity 7.389)  accuracy 25.0%" in line
    assert "MFU 31%  1.0 GiB" in line
    watch = TrainingWatcher()
    watch("reading")
    watch(status())  # too soon after the line before
    watch(status(evaluation=found))
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == ["reading", "step"]
