import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from train.steps.test_pretrain import SETUP, workspace
from train.toy import TEXTS

from leanformer.core.proof import NoEffect
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task, encode_examples
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.train.evaluate import make_evaluator, outputs
from leanformer.train.steps.pretrain import Pretrain

TASK = Task(kind="causal-lm")


def decoder(folder: Path, family: str = "llama") -> Workspace:
    texts = Examples(texts=TEXTS)
    model, tokenizer = tiny_model(family, head="causal")
    dataset = Dataset(name="toy", task=TASK, train=texts, dev=texts, test=texts, unlabelled=texts)
    return workspace(folder).with_(model=model, tokenizer=tokenizer, dataset=dataset)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("packing", [True, False])
def test_a_decoder_learns_to_predict_and_to_end(tmp_path: Path, family: str, packing: bool) -> None:
    setup = replace(SETUP, steps=60)
    done = Pretrain(train=setup, packing=packing, max_length=40).apply(decoder(tmp_path, family))
    (proof,) = done.proofs
    assert proof.claim == "perplexity on dev"
    assert proof.before is not None
    assert proof.after < proof.before / 4
    assert ("packed into" in proof.note) == packing
    assert proof.note.startswith("32 texts")  # unlabelled ones too
    start = done.tokenizer("music play", return_tensors="pt")
    made = done.model.generate(**start, max_new_tokens=30, do_sample=False)
    assert made[0, -1] == done.tokenizer.eos_token_id


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_quality_is_the_inverse_perplexity_of_all_tokens(family: str) -> None:
    model, tokenizer = tiny_model(family, head="causal")
    for tokenizer.padding_side in ("left", "right"):
        encoded = encode_examples(Examples(texts=TEXTS), tokenizer, "causal-lm", 32)
        total, tokens = 0.0, 0
        for text, row in zip(TEXTS, outputs(model, encoded, "causal-lm", "fp32"), strict=True):
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            loss = float(model(input_ids=ids, labels=ids).loss.detach())
            assert -float(row[:-1].mean()) == pytest.approx(loss, rel=1e-4)
            total, tokens = total + loss * (ids.shape[1] - 1), tokens + ids.shape[1] - 1
        quality = make_evaluator(encoded, TASK, precision="fp32")(model)
        assert 1 / quality == pytest.approx(math.exp(total / tokens), rel=1e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_what_it_made_opens_with_its_tied_weights(tmp_path: Path, tied: bool) -> None:
    done = decoder(tmp_path)
    done = done.with_(model=tiny_model("llama", head="causal", tie_word_embeddings=tied)[0])
    done = Pretrain(train=replace(SETUP, steps=8)).apply(done)
    save_model(done.model, done.tokenizer, tmp_path / "model")
    again, _ = load_model(tmp_path / "model", "causal")
    same = again.lm_head.weight is again.model.embed_tokens.weight
    assert same == tied
    assert torch.equal(again.lm_head.weight, done.model.lm_head.weight)


def test_a_tokenizer_without_padding_is_enough(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("gpt2", head="causal")
    tokenizer.pad_token, model.config.pad_token_id = None, None
    model.save_pretrained(tmp_path / "bare")
    tokenizer.save_pretrained(tmp_path / "bare")
    model, tokenizer = load_model(tmp_path / "bare", "causal")
    given = decoder(tmp_path / "run").with_(model=model, tokenizer=tokenizer)
    for packing in (True, False):
        (proof,) = Pretrain(train=replace(SETUP, steps=8), packing=packing).apply(given).proofs
        assert proof.after < (proof.before or 0)


def test_a_training_without_effect_is_told_in_perplexity(tmp_path: Path) -> None:
    setup = replace(SETUP, learning_rate=1e-12, steps=1)
    with pytest.raises(NoEffect, match="perplexity on dev"):
        Pretrain(train=setup).apply(decoder(tmp_path))


def test_a_task_that_is_not_plain_text_is_told_both_kinds(tmp_path: Path) -> None:
    given: Any = workspace(tmp_path, Task(kind="embedding"))
    with pytest.raises(ValueError, match="has kind = 'masked-lm' or 'causal-lm' in"):
        Pretrain().apply(given)
