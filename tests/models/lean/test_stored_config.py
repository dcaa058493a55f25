"""A stored form has a model type of its own on disk, and none but leanformer loads it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from models.stored_toy import NEAR, auto, output, said
from transformers import AutoTokenizer

from leanformer.attention.hf.attach import attach
from leanformer.models.io.load import has_head, load_model
from leanformer.models.io.save import save_model
from leanformer.models.lean.stored_config import is_stored
from leanformer.models.tiny import tiny_model
from leanformer.prune.sparse.sparse_weights import encode_sparse, sparse_layers
from leanformer.quantize.packed import codes_of_layers, hold
from leanformer.quantize.quantizers import Uniform
from leanformer.quantize.swap import swap


def attend(model: Any) -> None:
    attach(model, NEAR)


def rounding(model: Any) -> None:
    names = [name for name, _ in model.named_modules() if name.endswith("output.dense")]
    swap(model, dict.fromkeys(names, Uniform(bits=4)))


def pack(model: Any) -> None:
    rounding(model)
    hold(model, codes_of_layers(model))


def sparse(model: Any) -> None:
    for layer in model.bert.encoder.layer:
        with torch.no_grad():
            layer.output.dense.weight.mul_(layer.output.dense.weight > 0)
    encode_sparse(model, sparse_layers(model))


FORMS: dict[str, Callable[[Any], None]] = {
    "attended": attend,
    "latent": rounding,
    "packed": pack,
    "sparse": sparse,
}
STAY = ("attended", "latent")  # forms that a loaded model still has


def saved(form: str, folder: Path) -> Path:
    """A model of a form, in a folder."""
    model, tokenizer = tiny_model("bert")
    FORMS[form](model)
    save_model(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="module", params=FORMS)
def stored(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, saved(request.param, tmp_path_factory.mktemp("forms") / request.param)


def test_it_loads_and_is_saved_again_as_what_it_is(
    stored: tuple[str, Path], tmp_path: Path
) -> None:
    form, folder = stored
    assert said(folder)["model_type"] == "leanformer-bert"
    assert "quant_method" not in said(folder)["quantization_config"]
    again, tokenizer = load_model(folder, "classification")
    assert has_head(folder, "classification")
    assert again.config.model_type == "bert"
    assert is_stored(again.config) == (form in STAY)
    save_model(again, tokenizer, tmp_path / "again")
    assert said(tmp_path / "again")["model_type"] == ("leanformer-bert" if form in STAY else "bert")
    twice = auto(tmp_path / "again")
    assert torch.equal(output(twice, tokenizer), output(again, tokenizer))
    assert type(AutoTokenizer.from_pretrained(folder)) is type(tokenizer)


def test_a_folder_from_before_loads_and_is_saved_anew(
    stored: tuple[str, Path], tmp_path: Path
) -> None:
    form, folder = stored
    new, tokenizer = load_model(folder, "classification")
    config = said(folder)
    config["model_type"] = "bert"
    config["quantization_config"]["quant_method"] = config["quantization_config"].pop("stored_as")
    old = tmp_path / "old"
    save_model(new, tokenizer, old)
    (old / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (old / "config.json").write_text(json.dumps(config))
    again, _ = load_model(old, "classification")
    assert torch.equal(output(again, tokenizer), output(new, tokenizer))
    assert again.config.to_dict()["model_type"] == ("leanformer-bert" if form in STAY else "bert")


PLAIN = """
import sys
import transformers
transformers.utils.logging.set_verbosity_error()
for folder in sys.argv[1:]:
    for name in ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification", "BertModel",
                 "BertForSequenceClassification"):
        try:
            getattr(transformers, name).from_pretrained(folder)
        except ValueError as error:
            assert ("leanformer-bert" if "Auto" in name else "quant_method") in str(error), error
        else:
            raise SystemExit(f"{name} loaded {folder}")
    try:
        transformers.pipeline("text-classification", folder)
    except ValueError as error:
        assert "leanformer-bert" in str(error), error
    else:
        raise SystemExit(f"a pipeline loaded {folder}")
    assert type(transformers.AutoTokenizer.from_pretrained(folder)).__name__ == "BertTokenizer"
"""

ORDERS = ("import leanformer", "import transformers", "from transformers import AutoModel")
KNOWN = """
import leanformer
import json
import sys
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline
from transformers.utils import logging
logging.set_verbosity_error()
def said(folder):
    {body}
print(json.dumps([said(folder) for folder in sys.argv[1:]]))
"""
BODY = """
config = AutoConfig.from_pretrained(folder)
assert config.model_type == "bert", config.model_type
tokenizer = AutoTokenizer.from_pretrained(folder)
assert type(tokenizer).__name__ == "BertTokenizer"
model = AutoModelForSequenceClassification.from_pretrained(folder)
from transformers import BertForSequenceClassification
named = BertForSequenceClassification.from_pretrained(folder, config=config)
with torch.no_grad():
    found, same = (m(**tokenizer("a text of it", return_tensors="pt")).logits for m in (model, named))
assert torch.equal(found, same)
answer = pipeline("text-classification", folder)("a text of it")
assert answer[0]["label"] == model.config.id2label[int(found.argmax())]
return found.tolist()
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_plain_transformers_refuses_each_form(tmp_path: Path) -> None:
    run(PLAIN, *(str(saved(form, tmp_path / form)) for form in FORMS))


@pytest.mark.parametrize(
    "place",
    [0, *(pytest.param(place, marks=pytest.mark.thorough) for place in range(1, len(ORDERS)))],
)
def test_a_fresh_process_loads_them_in_either_order_of_imports(place: int, tmp_path: Path) -> None:
    """Another form comes first after each order of imports."""
    forms = [*list(FORMS)[place:], *list(FORMS)[:place]]
    for form in forms:
        saved(form, tmp_path / form)
    code = KNOWN.format(body=BODY.strip().replace("\n", "\n    "))
    found = json.loads(run(f"{ORDERS[place]}\n{code}", *(str(tmp_path / form) for form in forms)))
    for form, logits in zip(forms, found, strict=True):
        model, tokenizer = load_model(tmp_path / form, "classification")
        with torch.no_grad():
            expected = model(**tokenizer("a text of it", return_tensors="pt")).logits
        torch.testing.assert_close(torch.tensor(logits), expected)


@pytest.mark.parametrize(
    ("model_type", "form", "match"),
    [
        ("leanformer-bert", {"stored_as": "leanformer-next", "layers": {}}, "stored_as is 'leanfo"),
        (
            "leanformer-bert",
            {"stored_as": "gptq"},
            "is of 'gptq', a quantizer that leanformer does",
        ),
        (
            "leanformer-bert",
            {"quant_method": "leanformer"},
            "stored_as is None, which is not a form",
        ),
        (
            "leanformer-bert",
            None,
            r"stored_as is None, .* knows \(leanformer, leanformer-attention,",
        ),
        (
            "bert",
            {"quant_method": "leanformer-next"},
            "quant_method is 'leanformer-next', which is",
        ),
    ],
)
def test_a_form_that_is_not_known(
    model_type: str, form: dict[str, Any] | None, match: str, tmp_path: Path
) -> None:
    save_model(*tiny_model("bert"), tmp_path)
    config = said(tmp_path) | {"model_type": model_type, "quantization_config": form}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=match):
        load_model(tmp_path, "classification")
    if model_type != "bert":
        with pytest.raises(ValueError, match=r"quantization_config\.stored_as is "):
            auto(tmp_path)


def test_a_layer_that_is_not_there(stored: tuple[str, Path], tmp_path: Path) -> None:
    """A form of another model: nothing is loaded in part."""
    _, folder = stored
    shutil.copytree(folder, tmp_path / "m")
    config = said(folder)
    layers = config["quantization_config"]["layers"]
    config["quantization_config"]["layers"] = {f"other.{name}": v for name, v in layers.items()}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config\.json"):
        load_model(tmp_path / "m", "classification")
