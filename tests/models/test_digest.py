"""A model is told from another by its content, wherever it lies."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from leanformer.models.digest import model_identity, weights_digest
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8, torch.bool])
def test_weights_count_with_names_types_shapes_and_values(dtype: torch.dtype) -> None:
    def module(name: str, tensor: torch.Tensor) -> nn.Module:
        built = nn.Module()
        built.register_buffer(name, tensor)
        return built

    base = torch.tensor([[1, 0, 1], [0, 1, 1]]).to(dtype)
    turned = torch.tensor([[1, 0], [0, 1], [1, 1]]).to(dtype).T
    assert weights_digest(module("a", base)) == weights_digest(module("a", turned))
    others = [module("b", base), module("a", base.T), module("a", base.logical_not().to(dtype))]
    others += [module("a", base.to(torch.float64)), nn.Module(), module("a", base[:0])]
    digests = {weights_digest(one) for one in [module("a", base), *others]}
    assert len(digests) == 7


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_a_model_is_itself_after_saving_and_moving(family: str, tmp_path: Path) -> None:
    head = "causal" if family == "gpt2" else "classification"
    model, tokenizer = tiny_model(family, head=head)
    save_model(model, tokenizer, tmp_path / "here")
    first = model_identity(*load_model(str(tmp_path / "here"), head))
    shutil.move(tmp_path / "here", tmp_path / "there")
    opened = load_model(str(tmp_path / "there"), head)
    assert model_identity(*opened) == first
    opened[1](["a text", "another"], truncation=True, max_length=4, padding=True)
    assert model_identity(*opened) == first


def changed_tokens(model: Any, tokenizer: Any) -> None:
    tokenizer.add_tokens(["foxhole"])


def changed_length(model: Any, tokenizer: Any) -> None:
    tokenizer.model_max_length = 7


def changed_config(model: Any, tokenizer: Any) -> None:
    model.config.hidden_act = "relu"


def changed_labels(model: Any, tokenizer: Any) -> None:
    model.config.id2label = {0: "no", 1: "yes"}


def changed_weights(model: Any, tokenizer: Any) -> None:
    model.classifier.bias.data[0] += 1e-6


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (changed_tokens, "tokenizer"),
        (changed_length, "tokenizer"),
        (changed_config, "config"),
        (changed_labels, "config"),
        (changed_weights, "weights"),
    ],
)
def test_each_part_counts(change: Any, part: str) -> None:
    before = model_identity(*tiny_model("bert", num_labels=2))
    changed = tiny_model("bert", num_labels=2)
    change(*changed)
    after = model_identity(*changed)
    assert [name for name in before if before[name] != after[name]] == [part]
