"""Lean models load through transformers' own classes, in any order of the imports."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoTokenizer, pipeline

from leanformer.models.anatomy.shape import Shape, shape_of
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.cutting.layers import keep_layers
from leanformer.models.families import FAMILIES
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS

AUTO = {
    "classification": "AutoModelForSequenceClassification",
    "tokens": "AutoModelForTokenClassification",
    "embedding": "AutoModel",
    "masked": "AutoModelForMaskedLM",
    "causal": "AutoModelForCausalLM",
}
SAVED = [
    (family, head)
    for family in FAMILIES
    for head in AUTO
    if head not in (("masked",) if family in ("gpt2", "llama") else ("causal",))
]


def shrink(model: Any) -> None:
    """Every layer another shape, and a first layer that was not the first."""
    keep_layers(model, [1, 2])
    keep_heads(model, [[0, 3], [1]])
    keep_neurons(model, [range(3, 20), range(0, 48, 5)])


def output(model: Any, tokenizer: Any) -> torch.Tensor:
    batch = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    values: torch.Tensor = model(**batch)[0]
    return values


def reload(folder: Path, head: str) -> Any:
    with quiet():
        return getattr(transformers, AUTO[head]).from_pretrained(folder)


@pytest.mark.parametrize(("family", "head"), SAVED)
def test_a_shrunk_model_loads_bit_by_bit(family: str, head: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family, head=head)
    shrink(model)
    save_model(model, tokenizer, tmp_path / "m")

    again = reload(tmp_path / "m", head)

    assert type(again).__name__ == f"Lean{type(model).__name__}"
    assert torch.equal(output(again, tokenizer), output(model, tokenizer))
    assert shape_of(again) == shape_of(model)
    assert (
        again.config.to_dict().keys() == AutoConfig.from_pretrained(tmp_path / "m").to_dict().keys()
    )
    tokens = AutoTokenizer.from_pretrained(tmp_path / "m")
    assert tokens(list(TEXTS))["input_ids"] == tokenizer(list(TEXTS))["input_ids"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lean_model_is_shrunk_and_saved_again(family: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family)
    shrink(model)
    save_model(model, tokenizer, tmp_path / "once")
    again = reload(tmp_path / "once", "classification")
    keep_neurons(again, {0: [1, 5, 9]})
    keep_layers(again, [0])
    save_model(again, tokenizer, tmp_path / "twice")
    thrice = reload(tmp_path / "twice", "classification")
    assert torch.equal(output(thrice, tokenizer), output(again, tokenizer))
    assert shape_of(thrice).ffn == (3,)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_even_shape_needs_no_leanformer(family: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family)
    keep_layers(model, [0, 2])
    keep_neurons(model, [range(20), range(5, 25)])
    save_model(model, tokenizer, tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["model_type"] == family
    again = reload(tmp_path / "m", "classification")
    assert type(again) is type(model)
    assert torch.equal(output(again, tokenizer), output(model, tokenizer))


def test_other_heads_load_on_a_lean_encoder(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert", head="embedding")
    shrink(model)
    save_model(model, tokenizer, tmp_path / "m")
    with quiet():
        tagger = transformers.AutoModelForTokenClassification.from_pretrained(
            tmp_path / "m", num_labels=5
        )
    assert torch.equal(
        tagger.bert(**tokenizer("a", return_tensors="pt"))[0], output_one(model, tokenizer)
    )
    fresh = transformers.AutoModelForSequenceClassification.from_config(tagger.config)
    assert shape_of(fresh).ffn == (17, 10)


def output_one(model: Any, tokenizer: Any) -> torch.Tensor:
    values: torch.Tensor = model(**tokenizer("a", return_tensors="pt"))[0]
    return values


def test_copies_pickles_and_hidden_states() -> None:
    model, tokenizer = tiny_model("bert")
    shrink(model)
    expected = output(model, tokenizer)
    assert torch.equal(output(copy.deepcopy(model), tokenizer), expected)
    assert torch.equal(output(pickle.loads(pickle.dumps(model)), tokenizer), expected)
    lean = transformers.AutoModelForSequenceClassification.from_config(copy.deepcopy(model.config))
    lean = pickle.loads(pickle.dumps(lean))
    states = lean(**tokenizer("a", return_tensors="pt"), output_hidden_states=True).hidden_states
    assert len(states) == 3


def test_pipelines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, tokenizer = tiny_model("bert")
    shrink(model)
    save_model(model, tokenizer, tmp_path / "c")
    tagger, _ = tiny_model("distilbert", head="tokens")
    shrink(tagger)
    save_model(tagger, tokenizer, tmp_path / "t")
    with quiet():
        answer = pipeline("text-classification", model=str(tmp_path / "c"))(TEXTS[0])
        tags = pipeline("token-classification", model=str(tmp_path / "t"))(TEXTS[0])
    assert answer[0]["label"] == f"LABEL_{output(model, tokenizer)[0].argmax()}"
    assert len(tags) == 9
    assert "not supported" not in caplog.text


def test_shapes_keep_their_numbers_in_json() -> None:
    model, _ = tiny_model("llama")
    shrink(model)
    shape = shape_of(model)
    assert Shape.from_json(json.loads(json.dumps(shape.json()))) == shape
    assert shape.json()["layers"] == shape.layers == 2
    assert shape.kv_heads == (2, 1)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert shape.encoder_parameters == sum(p.numel() for p in model.model.layers.parameters())


def test_no_such_lean_class() -> None:
    from leanformer.models.lean import lean_config, lean_model

    assert lean_config.LeanGPT2Config.model_type == "lean-gpt2"
    with pytest.raises(AttributeError, match="no attribute 'LeanT5Config'"):
        _ = lean_config.LeanT5Config
    with pytest.raises(AttributeError, match="no attribute 'BertModel'"):
        _ = lean_model.BertModel
    with pytest.raises(AttributeError, match="has no lean class 'GPT2Model'"):
        lean_model.lean_class("bert", "GPT2Model")


INSTANT = """
import sys
import leanformer
assert leanformer.__version__
assert not {"torch", "transformers", "numpy", "tokenizers"} & set(sys.modules)
try:
    leanformer.nothing
except AttributeError as error:
    assert "no attribute 'nothing'" in str(error)
else:
    raise SystemExit("nothing was found")
"""
ORDERS = {
    "leanformer first": "import importlib, leanformer\nimportlib.reload(leanformer)",
    "leanformer last": "from transformers import {auto}\n{auto}\nimport leanformer",
}
LOADS = """
import sys
from transformers import AutoConfig, {auto}
from transformers.utils import logging
logging.set_verbosity_error()
model = {auto}.from_pretrained(sys.argv[1])
assert AutoConfig.from_pretrained(sys.argv[1]).model_type == "lean-bert"
assert type(model).__name__ == "LeanBertForSequenceClassification", type(model)
"""


def run(code: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_importing_leanformer_imports_nothing_else() -> None:
    run(INSTANT)


@pytest.mark.parametrize("order", ORDERS)
def test_both_orders_of_import(order: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert")
    shrink(model)
    save_model(model, tokenizer, tmp_path / "m")
    auto = AUTO["classification"]
    run((ORDERS[order] + LOADS).format(auto=auto), str(tmp_path / "m"))
