"""Whole pre-trainings: from texts to a folder that transformers opens, also after a kill."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from pretrain.toy import patience, recipe, write_corpus
from safetensors.torch import load_file

from leanformer.core.record import read
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.pretrain import run


def weights(folder):
    return load_file(folder / "model" / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


FRESH = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer
causal, masked = sys.argv[1:]
model, tokenizer = AutoModelForCausalLM.from_pretrained(causal), AutoTokenizer.from_pretrained(causal)
given = tokenizer("the small cat", return_tensors="pt")
given.pop("token_type_ids", None)
answer = model.generate(**given, max_new_tokens=5)
print(model.generation_config.do_sample, model.generation_config.top_k)
print(len(answer[0]) > given["input_ids"].shape[1])
model, tokenizer = AutoModelForMaskedLM.from_pretrained(masked), AutoTokenizer.from_pretrained(masked)
print(model(**tokenizer("the small cat", return_tensors="pt")).logits.shape[-1] == len(tokenizer))
print("leanformer" in sys.modules)
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A finished run of each kind: its recipe, how it ended, and what it told."""
    folder = tmp_path_factory.mktemp("ended")
    corpus, found = write_corpus(folder / "corpus.txt"), {}
    for kind in ("causal-lm", "masked-lm"):
        told = []
        asked = recipe(corpus, kind)
        found[kind] = asked, run(asked, folder / kind, watch=told.append), told
    return found


def test_transformers_opens_the_models_in_a_fresh_process(ended):
    folders = [str(ended[kind][1].folder / "model") for kind in ("causal-lm", "masked-lm")]
    found = subprocess.run(
        [sys.executable, "-c", FRESH, *folders], capture_output=True, text=True, check=False
    )
    assert found.stdout.split() == ["True", "50", "True", "True", "False"], found.stderr


@pytest.mark.parametrize("kind", ["causal-lm", "masked-lm"])
def test_a_run_tells_of_its_steps_and_is_done_once(ended, kind):
    asked, ended, told = ended[kind]
    assert (ended.step, ended.stopped, ended.already) == (8, False, False)
    events = read(ended.folder / "events.jsonl")
    # nobody asks a masked language model for the tokens that are not hidden
    alone = [{"use": "chunked-cross-entropy", "tokens": 0}]
    assert events[0]["memory"] == ([] if kind == "causal-lm" else alone)
    assert [event["step"] for event in events if event["event"] == "step"] == [2, 4, 6, 8]
    losses = [event["loss"] for event in events if event["event"] == "evaluation"]
    assert losses[0] > losses[1] == ended.evaluation["loss"]
    assert [status.step for status in told if not isinstance(status, str)] == [2, 4, 6, 8]
    samples = [event for event in events if event["event"] == "samples"]
    assert len(samples) == (2 if kind == "causal-lm" else 0)
    assert not (ended.folder / "checkpoint").exists()
    again = run(asked, ended.folder)
    assert again.already
    assert again.evaluation == ended.evaluation
    assert read(ended.folder / "events.jsonl") == events


@pytest.mark.parametrize("step", [1, 4, 7])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path, corpus, step):
    whole, half = tmp_path / "whole", tmp_path / "half"
    asked = recipe(corpus, "masked-lm", "train.checkpoint_seconds=1e6")
    run(asked, whole)
    stopped = run(asked, half, patience=patience(step))
    assert (stopped.stopped, stopped.step) == (True, step)
    assert not (half / "model").exists()
    ended = run(asked, half)
    assert not ended.stopped
    assert same(weights(half), weights(whole))
    said = [read(folder / "events.jsonl") for folder in (whole, half)]
    one, other = (
        [(e["step"], e["tokens"]) for e in events if e["event"] == "step"] for events in said
    )
    assert one == other
    assert [e["step"] for e in said[1] if e["event"] == "resumed"] == [step]


def test_the_time_limit_ends_it_with_a_checkpoint(tmp_path, corpus):
    out = tmp_path / "out"
    ended = run(recipe(corpus, "causal-lm", "train.checkpoint_seconds=1e6"), out, minutes=1e-9)
    assert (ended.stopped, ended.step) == (True, 1)
    assert run(recipe(corpus), out).step == 8


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch
torch.set_num_threads(1)
from pretrain.toy import recipe
from leanformer.pretrain import run

def watch(status):
    if not isinstance(status, str) and status.step == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

run(recipe(Path(sys.argv[2]), "causal-lm", "log_steps=1"), Path(sys.argv[3]), watch=watch)
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_losses(tmp_path, corpus):
    asked = recipe(corpus, "causal-lm", "log_steps=1")
    words = [str(one) for one in (Path(__file__).parents[1], corpus, tmp_path / "out", 5)]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "out" / "checkpoint").exists()
    whole = run(asked, tmp_path / "whole").evaluation
    ended = run(asked, tmp_path / "out").evaluation
    assert ended["loss"] == pytest.approx(whole["loss"], rel=1e-4)  # two processes round otherwise
    steps = [e["step"] for e in read(tmp_path / "out" / "events.jsonl") if e["event"] == "step"]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_run_that_is_killed_while_it_ends_is_ended_by_the_next(tmp_path, corpus):
    out = tmp_path / "out"
    broken = mock.patch("leanformer.pretrain.training.save_model", side_effect=KeyboardInterrupt)
    with broken, pytest.raises(KeyboardInterrupt):
        run(recipe(corpus), out)
    assert not (out / "done.json").exists()
    run(recipe(corpus), out)
    assert [e["event"] for e in read(out / "events.jsonl")].count("finished") == 1
    assert (out / "model" / "config.json").is_file()


@pytest.mark.parametrize(("family", "head"), [("gpt2", "causal"), ("modernbert", "masked")])
def test_a_trained_model_goes_on_with_its_own_tokenizer(tmp_path, corpus, family, head):
    model, tokenizer = tiny_model(family, head=head)
    save_model(model, tokenizer, tmp_path / "model")
    table = {"model": str(tmp_path / "model"), "tokenizer": None}
    ended = run(recipe(corpus, f"{head}-lm", "train.steps=2", **table), tmp_path / "out")
    assert ended.evaluation["perplexity"] > 1
    assert len(weights(tmp_path / "out")) == len(load_file(tmp_path / "model/model.safetensors"))
    with pytest.raises(ValueError, match="a new one does not fit a model that is trained already"):
        recipe(corpus, model=str(tmp_path / "model"))


def test_the_best_weights_may_be_kept_and_nothing_held_out(tmp_path, corpus):
    asked = recipe(corpus, "causal-lm", "load_best_at_end=true", "train.learning_rate=10")
    ended = run(asked, tmp_path / "best")
    found = [e for e in read(tmp_path / "best/events.jsonl") if e["event"] == "evaluation"]
    assert ended.evaluation["loss"] == min(event["loss"] for event in found)
    plain = recipe(corpus, "causal-lm", "corpus.held_out=0", 'samples.prompts=["the cat"]')
    ended = run(plain, tmp_path / "plain")
    assert ended.evaluation == {}
    last = read(tmp_path / "plain/events.jsonl")[-1]
    assert [sample["prompt"] for sample in last["samples"]] == ["the cat"]


def test_a_reversible_decoder_is_stopped_saved_and_trained_further(tmp_path, corpus):
    asked = recipe(corpus, "causal-lm", "model.reversible=true", "train.checkpoint_seconds=1e6")
    ended = run(asked, tmp_path / "whole")
    assert run(asked, tmp_path / "half", patience=patience(4)).stopped
    run(asked, tmp_path / "half")
    assert same(weights(tmp_path / "half"), weights(tmp_path / "whole"))
    folder = tmp_path / "whole" / "model"
    said = json.loads((folder / "config.json").read_text())
    assert said["quantization_config"] == {"stored_as": "leanformer-reversible"}
    table = {"model": str(folder), "tokenizer": None}
    further = run(recipe(corpus, "causal-lm", **table), tmp_path / "further")
    assert further.evaluation["loss"] < ended.evaluation["loss"]
