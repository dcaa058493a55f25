"""What a pre-training refuses: what cannot be done, other work in its folder, other texts."""

import json
import shutil
import sys
from unittest import mock

import pytest
from pretrain.toy import patience, recipe, write_corpus

from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.pretrain import begin, run


def test_other_texts_and_other_settings_are_refused_by_name(tmp_path, corpus):
    out = tmp_path / "out"
    asked = recipe(corpus, "causal-lm", "train.steps=2")
    run(asked, out, patience=patience(1))
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()}
    for setting, name in (
        ("seed=1", r"seed \(0 → 1\)"),
        ("train.learning_rate=1e-5", r"train.learning_rate \(0.003 → 1e-05\)"),
        ("model.layers=3", r"model.layers \(2 → 3\)"),
        ("tokenizer.vocabulary=290", "tokenizer.vocabulary"),
        ("corpus.held_out=0.2", "corpus.held_out"),
    ):
        with pytest.raises(ValueError, match=f"holds other work, which differs in {name}"):
            run(recipe(corpus, "causal-lm", "train.steps=2", setting), out)
    assert {f: f.stat().st_mtime_ns for f in out.rglob("*") if f.is_file()} == before
    write_corpus(corpus, seed=1)
    with pytest.raises(ValueError, match="holds the tokens of other texts"):
        run(asked, out)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["device=gpu7"], "device: 'gpu7' is not on this machine"),
        (["train.parallel.data=3"], "data = 3, and one process runs"),
        (['corpus.paths=["nowhere.txt"]'], "nowhere.txt: no such file or folder"),
        (["model.settings={n_inne=3}"], "there is no field 'n_inne' .did you mean 'n_inner'"),
        (["kind=masked-lm"], "gpt2 has no head for masked-lm"),
        (["tokenizer=./nowhere"], "tokenizer: ./nowhere: there is no such folder"),
        (['report_to=["wandb"]'], "report_to: wandb is not installed: pip install 'wandb'"),
        (["model=./nowhere", "tokenizer=none"], "nowhere"),
        (['train.memory=[{use="swap-layers"}]'], "swap-layers: .*CPU"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    tmp_path, corpus, settings, message
):
    with (
        mock.patch.dict(sys.modules, wandb=None),
        pytest.raises((ValueError, OSError), match=message),
    ):
        begin(recipe(corpus, "causal-lm", *settings), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(tmp_path, corpus):
    assert begin(recipe(corpus), tmp_path / "out", write=False) == "causal-lm"
    assert not (tmp_path / "out").exists()


def test_a_model_without_the_head_is_refused(tmp_path, corpus):
    model, tokenizer = tiny_model("bert")
    save_model(model, tokenizer, tmp_path / "model")
    asked = recipe(corpus, model=str(tmp_path / "model"), tokenizer=None)
    with pytest.raises(ValueError, match="has no head for masked-lm or causal-lm"):
        begin(asked, tmp_path / "out")


def test_rows_longer_than_the_model_are_refused(tmp_path, corpus):
    model, tokenizer = tiny_model("gpt2", head="causal")
    save_model(model, tokenizer, tmp_path / "model")
    asked = recipe(corpus, model=str(tmp_path / "model"), tokenizer=None, max_length=65)
    with pytest.raises(ValueError, match="do not fit a model of 64 positions; set it to 64"):
        begin(asked, tmp_path / "out", write=False)


def test_a_finished_run_is_of_its_texts(tmp_path, corpus):
    texts, out = tmp_path / "texts.txt", tmp_path / "out"
    texts.write_text(corpus.read_text())
    run(recipe(texts, "masked-lm", "train.steps=1"), out)
    texts.write_text(corpus.read_text() + "one more text\n")
    with pytest.raises(ValueError, match="holds the tokens of other texts"):
        run(recipe(texts, "masked-lm", "train.steps=1"), out)
    shutil.rmtree(out / "corpus")  # whoever removes it has nothing left to compare
    assert run(recipe(texts, "masked-lm", "train.steps=1"), out).already


def test_a_finished_run_whose_model_is_gone_says_so(tmp_path, corpus):
    out = tmp_path / "out"
    run(recipe(corpus, "masked-lm", "train.steps=1"), out)
    (out / "model").rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="its model/ is gone; remove"):
        run(recipe(corpus, "masked-lm", "train.steps=1"), out)
    assert json.loads((out / "done.json").read_text())["step"] == 1


def test_a_mistake_is_corrected_in_the_folder_that_it_ended_in(tmp_path):
    texts = tmp_path / "texts.jsonl"
    texts.write_text("\n".join(json.dumps({"body": f"a small cat {n}"}) for n in range(40)))
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="did you mean 'body'"):
        run(recipe(texts, "causal-lm", "corpus.text=bdy"), out)
    assert [place.name for place in out.iterdir()] == ["pretraining.json"]
    assert run(recipe(texts, "causal-lm", "corpus.text=body"), out).step == 8


def test_before_the_first_step_is_kept_the_refusal_says_what_to_remove(corpus, tmp_path):
    out, none = tmp_path / "out", "corpus.held_out=1e-9"
    with pytest.raises(ValueError, match="hold more out"):
        run(recipe(corpus, "causal-lm", none), out)
    held = r"held_out.*no step is kept there yet: or remove its pretraining.json, tokenizer/ and"
    with pytest.raises(ValueError, match=held):
        run(recipe(corpus), out)
    run(recipe(corpus, "causal-lm", "corpus.held_out=0"), tmp_path / "done")
    with pytest.raises(ValueError, match=r"change that back to go on$"):
        run(recipe(corpus), tmp_path / "done")
