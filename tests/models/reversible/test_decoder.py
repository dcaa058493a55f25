import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from train.memory.languages import language_batch, language_model, step
from train.toy import FAST, TEXTS

from leanformer.attention import SlidingWindow
from leanformer.attention.hf.attach import attach
from leanformer.data import Examples, encode_examples
from leanformer.models.reversible.decoder import make_reversible
from leanformer.models.reversible.layers import couple
from leanformer.models.tiny import tiny_model
from leanformer.train import Supervised, fit
from leanformer.train.account.saved_tensors import saved_tensors
from leanformer.train.memory import CheckpointActivations, MemorySaver, SwapLayers

LOSS = Supervised("causal-lm")


def plain(pairs: Any, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    for pair in pairs:
        x1, x2 = couple(x1, x2, pair.f, pair.g)
    return x1, x2


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_gradients_are_those_of_plain_autograd(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = language_model(family)
    names = [name for name, _ in model.named_parameters()]
    make_reversible(model)
    assert [name for name, _ in model.named_parameters()] == names
    batch = language_batch(model.config.vocab_size)
    value, ours = step(model, LOSS, batch)
    monkeypatch.setattr("leanformer.models.reversible.decoder.run_reversible", plain)
    other, expected = step(model, LOSS, batch)
    torch.testing.assert_close(value, other, rtol=1e-12, atol=0)
    assert ours.keys() == expected.keys() == set(names)
    for name, slope in expected.items():
        torch.testing.assert_close(ours[name], slope, rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_it_keeps_as_much_of_few_layers_as_of_many(family: str) -> None:
    sizes = []
    for layers in (1, 6):
        model, _ = language_model(family, num_hidden_layers=layers)
        make_reversible(model)
        with saved_tensors(model) as kept:
            LOSS.mean(model, language_batch(model.config.vocab_size))
        sizes.append(kept.bytes)
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_it_learns_and_generates_with_a_cache(family: str) -> None:
    model, tokenizer = tiny_model(family, head="causal")
    make_reversible(model)
    encoded = encode_examples(Examples(texts=TEXTS), tokenizer, "causal-lm", 32)
    done = fit(model, encoded, LOSS, replace(FAST, steps=20, learning_rate=5e-3))
    assert done.losses[-1] < done.losses[0] / 1.5
    start = tokenizer("music play", return_tensors="pt")
    made = [
        model.generate(**start, max_new_tokens=8, do_sample=False, use_cache=cache)
        for cache in (True, False)
    ]
    assert torch.equal(*made)


def test_a_copy_runs_its_own_layers() -> None:
    model, _ = language_model("gpt2")
    make_reversible(model)
    batch = language_batch(model.config.vocab_size)
    copied = copy.deepcopy(model)
    before = LOSS.mean(copied.eval(), batch)
    for parameter in model.parameters():
        parameter.data.zero_()
    assert torch.equal(LOSS.mean(copied, batch), before)


def test_other_models_are_refused() -> None:
    model, _ = language_model("bert")
    with pytest.raises(ValueError, match="'bert' has no reversible form"):
        make_reversible(model)
    model, _ = language_model("gpt2")
    make_reversible(model)
    with pytest.raises(ValueError, match="was replaced already"):
        make_reversible(model)
    model, _ = language_model("gpt2")
    attach(model, SlidingWindow(left=3, right=0))
    with pytest.raises(ValueError, match="stored as leanformer-attention already"):
        make_reversible(model)


@pytest.mark.parametrize("saver", [CheckpointActivations(), SwapLayers()])
def test_what_handles_layers_one_by_one_is_refused(saver: MemorySaver) -> None:
    model, tokenizer = tiny_model("gpt2", head="causal")
    make_reversible(model)
    encoded = encode_examples(Examples(texts=TEXTS), tokenizer, "causal-lm", 32)
    with pytest.raises(ValueError, match="layers of a reversible decoder run within the first"):
        fit(model, encoded, LOSS, replace(FAST, memory=(saver,)))
