"""Quantized models through transformers' own `from_pretrained`, in both forms."""

import copy
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import transformers
from quantize.rounding import Blocks, Moments
from train.toy import FAST, examples

from leanformer.data import encode_examples
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.io.load import load_model
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS
from leanformer.quantize.activations import Dynamic, MovingAverage
from leanformer.quantize.fake import QATEmbedding, QATLinear, rounded_layers
from leanformer.quantize.packed import codes_of_layers, hold, rounded_state
from leanformer.quantize.quantizers import Ternary, Uniform
from leanformer.quantize.swap import swap
from leanformer.train import Supervised, fit

pytestmark = pytest.mark.usefixtures("unlisted")  # saved models are edited

FAMILIES = ("bert", "distilbert", "lean-bert", "modernbert")
NOISE = {"atol": 1e-6, "rtol": 1e-5}  # equal weights elsewhere in memory may round otherwise


def rounding_model(family, linears=Blocks(), inputs=MovingAverage(decay=0.9), **settings):  # noqa: B008
    """A model all of whose encoder rounds, with a step of training behind it."""
    model, tokenizer = tiny_model(family.removeprefix("lean-"), num_labels=2, **settings)
    if family.startswith("lean-"):
        keep_heads(model, [[0, 3], [1], [0, 1, 2]])
        keep_neurons(model, [range(3, 20), range(0, 48, 5), range(7)])
    layers = {
        name: linears
        for name, module in model.base_model.named_modules(prefix=model.base_model_prefix)
        if isinstance(module, torch.nn.Linear)
    }
    words = next(n for n, m in model.named_modules() if m is model.get_input_embeddings())
    swap(model, layers | {words: Blocks(bits=3)}, inputs, clip=2.5)
    train(model, tokenizer, 1)
    return model, tokenizer


def train(model, tokenizer, epochs):
    encoded = encode_examples(examples(), tokenizer, "classification", 32)
    return fit(model, encoded, Supervised("classification"), replace(FAST, epochs=epochs))


def output(model, tokenizer):
    with torch.no_grad():
        return model(**tokenizer(list(TEXTS), padding=True, return_tensors="pt"))[0]


@pytest.mark.parametrize(
    ("family", "quantizer"), [*((family, Blocks()) for family in FAMILIES), ("bert", Moments())]
)
def test_the_latent_form_comes_back_bit_by_bit_and_training_goes_on(family, quantizer, tmp_path):
    model, tokenizer = rounding_model(family, quantizer)
    save_model(model, tokenizer, tmp_path / "m")
    again, _ = load_model(tmp_path / "m", "classification", num_labels=2)
    assert type(again).__name__.removeprefix("Lean") == type(model).__name__.removeprefix("Lean")
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(again.state_dict()[n], t) for n, t in model.state_dict().items())
    torch.testing.assert_close(output(again, tokenizer), output(model, tokenizer), **NOISE)
    assert not hasattr(again, "hf_quantizer")
    assert again.config.quantization_config == model.config.quantization_config
    ours, theirs = train(model, tokenizer, 1), train(again, tokenizer, 1)
    assert ours.losses == theirs.losses
    torch.testing.assert_close(output(again, tokenizer), output(model, tokenizer), **NOISE)
    save_model(again, tokenizer, tmp_path / "twice")
    twice, _ = load_model(tmp_path / "twice", "classification", num_labels=2)
    torch.testing.assert_close(output(twice, tokenizer), output(again, tokenizer), **NOISE)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("granularity", "bits"), [("tensor", 2), ("row", 3), ("group", 4)])
def test_the_packed_form_loads_into_plain_layers_that_say_the_same(
    family, granularity, bits, tmp_path
):
    model, tokenizer = rounding_model(family, Blocks(bits=bits, granularity=granularity), None)
    expected, state = output(model, tokenizer), rounded_state(model, codes_of_layers(model))
    hold(model, codes_of_layers(model))
    save_model(model, tokenizer, tmp_path / "m")
    with quiet():
        auto_class = transformers.AutoModelForSequenceClassification
        again = auto_class.from_pretrained(tmp_path / "m")
    torch.testing.assert_close(output(again, tokenizer), expected, **NOISE)
    assert all(torch.equal(tensor, state[n]) for n, tensor in again.state_dict().items())
    assert not rounded_layers(again)
    assert not hasattr(again.config, "quantization_config")
    assert not again.training
    save_model(again, tokenizer, tmp_path / "float")
    twice, _ = load_model(tmp_path / "float", "classification", num_labels=2)
    torch.testing.assert_close(output(twice, tokenizer), expected, **NOISE)
    losses = train(again, tokenizer, 1).losses  # plain layers, trained like any others
    assert losses[-1] != losses[0]


@pytest.mark.parametrize("inputs", [Dynamic(), MovingAverage(decay=0.9)])
def test_inputs_that_were_rounded_are_rounded_after_packing(inputs, tmp_path):
    model, tokenizer = rounding_model("lean-bert", Blocks(), inputs)
    expected = output(model, tokenizer)
    hold(model, codes_of_layers(model))
    save_model(model, tokenizer, tmp_path / "m")
    again, _ = load_model(tmp_path / "m", "classification", num_labels=2)
    torch.testing.assert_close(output(again, tokenizer), expected, **NOISE)
    layers = rounded_layers(again)
    assert all(layer.quantizer is None for layer in layers.values())
    assert all(isinstance(layer, QATLinear) for layer in layers.values())
    assert len(layers) == 19
    save_model(again, tokenizer, tmp_path / "twice")
    twice, _ = load_model(tmp_path / "twice", "classification", num_labels=2)
    torch.testing.assert_close(output(twice, tokenizer), expected, **NOISE)


@pytest.mark.parametrize("packed", [True, False])
def test_other_heads_load_on_a_quantized_encoder(packed, tmp_path):
    model, tokenizer = rounding_model("bert", Blocks(), None)
    inputs = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model.bert(**inputs)[0]
    if packed:
        hold(model, codes_of_layers(model))
    save_model(model, tokenizer, tmp_path / "m")
    for auto_class in ("AutoModel", "AutoModelForTokenClassification"):
        with quiet(), torch.no_grad():
            other = getattr(transformers, auto_class).from_pretrained(tmp_path / "m")
            torch.testing.assert_close(other.base_model(**inputs)[0], expected, **NOISE)
        assert isinstance(other.get_input_embeddings(), QATEmbedding) is not packed
        save_model(other, tokenizer, tmp_path / auto_class)
        with quiet(), torch.no_grad():
            again = getattr(transformers, auto_class).from_pretrained(tmp_path / auto_class)
            torch.testing.assert_close(again.base_model(**inputs)[0], expected, **NOISE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "strange"}, "form is 'strange', which is neither 'latent' nor 'packed'"),
        ({"layers": {"nonsense": None}}, "names 1 layers, and none of them is in Bert"),
        ({"activations": {"use": "dynamik"}}, r"quantization_config.activations.*did you mean"),
    ],
)
def test_a_configuration_changed_by_hand_is_refused(change, message, tmp_path):
    model, tokenizer = rounding_model("bert")
    save_model(model, tokenizer, tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"] |= change
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "m", "classification", num_labels=2)


LOADS = """
import sys
from transformers import AutoModelForSequenceClassification
import leanformer
from transformers.utils import logging
logging.set_verbosity_error()
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1])
print(float(model.get_input_embeddings().weight.double().sum()))
"""


def test_a_packed_model_loads_in_a_process_that_only_imports_leanformer(tmp_path):
    model, tokenizer = rounding_model("lean-bert", Blocks(), None)
    expected = model.get_input_embeddings().rounded().detach().double().sum()
    hold(model, codes_of_layers(model))
    save_model(model, tokenizer, tmp_path / "m")
    command = [sys.executable, "-W", "ignore", "-c", LOADS, str(tmp_path / "m")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) == float(expected)


OLD = {  # as an earlier version wrote them
    "linear": {
        "use": "uniform", "bits": 4, "symmetric": True, "per": "columns", "group": 8, "groups": 0,
        "ends": "mse",
    },
    "table": {"use": "ternary", "per": "row", "optimal": False},
    "inputs": {"use": "dynamic", "symmetric": True, "per": "token", "bits": 8},
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_with_the_old_names_of_settings_loads_and_is_saved_with_the_present_ones(
    packed, tmp_path
):
    model, tokenizer = tiny_model("bert", num_labels=2)
    linear, table = "bert.encoder.layer.1.output.dense", "bert.embeddings.word_embeddings"
    four = Uniform(bits=4, granularity="group", group_size=8, clipping="mse")
    present = {linear: four, table: Ternary(granularity="row")}
    swap(model, present, Dynamic(symmetric=True, granularity="token"))
    expected = output(model, tokenizer)
    if packed:
        hold(model, codes_of_layers(model))
    save_model(model, tokenizer, tmp_path / "m")
    file = tmp_path / "m" / "config.json"
    written = json.loads(file.read_text(encoding="utf-8"))
    form = copy.deepcopy(written["quantization_config"])
    form["activations"] = OLD["inputs"]
    if not packed:
        form["layers"] = {linear: OLD["linear"], table: OLD["table"]}
    assert form != written["quantization_config"]
    file.write_text(json.dumps({**written, "quantization_config": form}), encoding="utf-8")
    with pytest.warns(FutureWarning, match=r"activations\.per is called granularity now"):
        again, _ = load_model(tmp_path / "m", "classification", num_labels=2)
    torch.testing.assert_close(output(again, tokenizer), expected, **NOISE)
    if not packed:
        layers = rounded_layers(again)
        assert {name: layer.quantizer for name, layer in layers.items()} == present
        save_model(again, tokenizer, tmp_path / "twice")
        file = tmp_path / "twice" / "config.json"
        saved = json.loads(file.read_text(encoding="utf-8"))["quantization_config"]
        assert saved == written["quantization_config"]


def test_layers_that_share_a_quantizer_warn_of_its_old_names_once(tmp_path, recwarn):
    model, tokenizer = tiny_model("bert", num_labels=2)
    linears = [
        n for n, m in model.bert.named_modules(prefix="bert") if isinstance(m, torch.nn.Linear)
    ]
    quantizer = Uniform(granularity="tensor")
    swap(model, dict.fromkeys(linears, quantizer))
    save_model(model, tokenizer, tmp_path / "m")
    file = tmp_path / "m" / "config.json"
    text = file.read_text(encoding="utf-8")
    assert text.count('"granularity"') == len(linears)
    file.write_text(text.replace('"granularity"', '"per"'), encoding="utf-8")
    again, _ = load_model(tmp_path / "m", "classification", num_labels=2)
    assert all(layer.quantizer == quantizer for layer in rounded_layers(again).values())
    assert sum(one.category is FutureWarning for one in recwarn) == 1
