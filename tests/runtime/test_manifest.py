import json
import re
import shutil

import pytest

from leanformer.runtime.manifest import NAME, read_manifest
from leanformer.runtime.serving.opening import open_session
from leanformer.runtime.serving.predictor import load


@pytest.fixture
def folder(classifier, tmp_path):
    return shutil.copytree(classifier, tmp_path / "copy")


def edit(folder, **fields):
    """Change a description as format 2 had it: without a checksum of its own."""
    path = folder / NAME
    found = json.loads(path.read_text())
    found.pop("checksum", None)
    path.write_text(json.dumps({**found, "format": 2, **fields}))


def test_a_description_without_a_checksum_is_one_of_an_earlier_format(folder):
    edit(folder, max_length=16)
    assert read_manifest(folder).max_length == 16
    load(folder)
    edit(folder, format=3)
    with pytest.raises(ValueError, match=r"leanformer.json was altered after it was written"):
        read_manifest(folder)


@pytest.mark.parametrize("fields", [{"max_length": 16}, {"labels": ["a", "b"]}, {"format": 2}])
def test_an_altered_description_is_refused(folder, fields):
    path = folder / NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    with pytest.raises(ValueError, match=r"leanformer.json was altered .*: its checksum differs"):
        load(folder)


def test_a_description_may_be_laid_out_anew(folder):
    path = folder / NAME
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(fields.items()))))
    load(folder)


@pytest.mark.parametrize("labels", ["no", [1, 2, 3]])
def test_labels_are_a_list_of_texts(folder, labels):
    edit(folder, labels=labels)
    with pytest.raises(ValueError, match=r"labels is 'no' and not a list|label 1 is not a text"):
        read_manifest(folder)


def test_a_folder_without_a_description_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="was not exported by leanformer"):
        load(tmp_path)


def test_a_changed_byte_is_found(folder):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"model.safetensors is damaged: its checksum"):
        load(folder)


def test_a_missing_file_is_found(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"tokenizer.json is missing"):
        load(folder)


def test_a_backend_that_is_not_there_is_refused_with_what_is(folder):
    with pytest.raises(ValueError, match="holds no openvino int8 model; it has pytorch fp32"):
        load(folder, "openvino", precision="int8")
    with pytest.raises(ValueError, match="PyTorch runs bf16 or fp32 here, not 'int8'"):
        open_session(folder, "pytorch", "int8")


def test_a_damaged_description_is_refused(folder):
    edit(folder, nonsense=1)
    with pytest.raises(ValueError, match=r"leanformer.json is damaged"):
        read_manifest(folder)
    edit(folder, nonsense=1, labels=3)
    with pytest.raises(ValueError, match=r"leanformer.json is damaged"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "leanformer.json is not valid JSON"),
        ("[]", "leanformer.json must hold a JSON object, not list"),
        ("[" * 100_000, "leanformer.json is not valid JSON: it is nested too deeply"),
    ],
)
def test_a_description_that_is_not_an_object_is_refused(folder, text, message):
    (folder / NAME).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [("max_length", "64", "int"), ("pairs", 1, "bool"), ("files", [], "dict")],
)
def test_values_of_another_type_are_refused(folder, field, value, kind):
    edit(folder, **{field: value})
    with pytest.raises(ValueError, match=f"{field} is {re.escape(repr(value))}, not {kind}"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("kind", "kind 'magic' is not one of causal-lm, classification"),
        ("system", "system 'magic' is not one of .*ngrams, .*transformer"),
        ("backend", "backend 'magic' is not one of onnxruntime, openvino, pytorch"),
        ("precision", "precision: PyTorch runs bf16 or fp32 here, not 'magic'"),
    ],
)
def test_unknown_words_in_the_description_are_refused(folder, field, message):
    edit(folder, **{field: "magic"})
    with pytest.raises(ValueError, match=f"leanformer.json: {message}"):
        load(folder)


def test_a_later_format_is_refused(folder):
    edit(folder, format=4)
    with pytest.raises(ValueError, match=r"format 4 is not among \(1, 2, 3\).*update leanformer"):
        read_manifest(folder)


@pytest.mark.parametrize("value", [[0.5], [0.5, 1.5, 0.1], ["a", "b", "c"]])
def test_thresholds_are_a_probability_for_each_label(folder, value):
    edit(folder, labels=["a", "b", "c"], thresholds=[0.1, 0.5, 1.0])
    assert read_manifest(folder).thresholds == (0.1, 0.5, 1.0)
    edit(folder, thresholds=value)
    with pytest.raises(
        ValueError, match=r"thresholds is .*, not a probability for each of 3 label"
    ):
        read_manifest(folder)
