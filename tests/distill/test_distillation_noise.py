"""Noise swaps tokens of the texts, and never a special one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from train.toy import FAST, examples

from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Batch, Dataset, Task
from leanformer.distill.distillation import Distillation
from leanformer.distill.step import Distill
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train.masking import special_ids

NOISY = {family: tiny_tokenizer(family) for family in ("bert", "roberta", "gpt2", "llama")}
for _tokenizer in NOISY.values():
    _tokenizer.add_tokens(["ENTITY"], special_tokens=True)
    _tokenizer.add_special_tokens({"additional_special_tokens": ["MARK"]})
WORDS = ["ENTITY", "MARK", "music", "rice", "the", "lights", "</s>", "[MASK]"]


@pytest.mark.parametrize("family", NOISY)
@given(
    rows=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), min_size=1, max_size=4),
    noise=st.floats(0.05, 0.99),
    seed=st.integers(0, 99),
)
def test_noise_swaps_no_special_token_and_puts_none_in(
    family: str, rows: list[list[str]], noise: float, seed: int
) -> None:
    """CLS, SEP, PAD, MASK, BOS, EOS, and special tokens that were added without a role."""
    tokenizer = NOISY[family]
    encoded = tokenizer([" ".join(row) for row in rows], padding=True, return_tensors="pt")
    inputs = {name: encoded[name] for name in ("input_ids", "attention_mask")}
    loss = object.__new__(Distillation)
    nn.Module.__init__(loss)
    ids = special_ids(tokenizer)
    loss.noise, loss._special, loss._hide = noise, torch.tensor(ids), None
    torch.manual_seed(seed)
    found = loss.transform_batch(Batch(inputs, None, tuple(range(len(rows)))))
    before, after = inputs["input_ids"], found.inputs["input_ids"]
    named = (getattr(tokenizer, f"{role}_token_id", None) for role in ("cls", "sep", "mask", "eos"))
    added = tokenizer.convert_tokens_to_ids(["ENTITY", "MARK"])
    held = torch.tensor([*(one for one in named if one is not None), *added])
    fixed = torch.isin(before, held) | (inputs["attention_mask"] == 0)
    assert torch.equal(after[fixed], before[fixed])
    assert not torch.isin(after[~fixed], held).any()


def test_the_step_tells_the_noise_of_every_special_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_special: list[Any] = []
    made = Distillation.__init__

    def noted(self: Any, *arguments: Any) -> None:
        given_special.append(arguments[6])
        made(self, *arguments)

    monkeypatch.setattr(Distillation, "__init__", noted)
    tokenizer = NOISY["bert"]
    task = Task(kind="classification", labels=("a", "b"))
    dataset = Dataset(name="toy", task=task, train=examples(), dev=examples(), test=examples())
    models = [
        tiny_model("bert", num_labels=2, vocab_size=len(tokenizer), seed=n)[0] for n in (1, 2)
    ]
    given_workspace = Workspace(
        name="small", model=models[0], tokenizer=tokenizer, dataset=dataset, folder=tmp_path,
        record=Record(tmp_path / "record.jsonl"), teacher=models[1],
    )  # fmt: skip
    step = Distill(train=replace(FAST, steps=1), noise=0.5, require_improvement=False)
    step.apply(given_workspace)
    (special,) = given_special
    assert tokenizer.convert_tokens_to_ids("ENTITY") in special
