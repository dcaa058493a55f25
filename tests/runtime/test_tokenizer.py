import logging
import subprocess
import sys
from dataclasses import replace

import pytest
from runtime_samples import plain_folder

from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS
from leanformer.runtime import tokenizer as served
from leanformer.runtime.manifest import Manifest, read_manifest, write_manifest
from leanformer.runtime.tokenizer import compared_tokenizer, open_tokenizer
from leanformer.text.encoders import HuggingFace, Tokie


def test_it_cuts_texts_to_what_the_folder_says(tmp_path):
    _, tokenizer = plain_folder(tmp_path)
    reader = open_tokenizer(tmp_path)
    assert reader.max_length == 32
    assert reader("the film was slow").tokens == tokenizer("the film was slow").tokens()


def test_a_folder_that_was_not_exported_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="was not exported by leanformer"):
        open_tokenizer(tmp_path)


def test_serving_does_not_import_torch():
    code = (
        "import sys; from leanformer.runtime.serving import predictor; "
        "from leanformer.runtime.onnx import session; from leanformer.runtime.openvino import session; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert ended.returncode == 0


def test_a_default_prompt_is_read_before_every_text(tmp_path):
    model, tokenizer = tiny_model("bert", head="embedding")
    described = Embedding(prompts={"q": "where is ", "d": "no"}, default_prompt_name="q")
    describe_embedding(model, tokenizer, described)
    save_model(model, tokenizer, tmp_path / "m")
    write_manifest(tmp_path / "m", Manifest(kind="embedding", max_length=32))
    (reading,) = open_tokenizer(tmp_path / "m").read(["the film"])
    assert reading.ids == tokenizer("where is the film")["input_ids"]


class Same:
    """A fast tokenizer that is Hugging Face's, but for characters that it misreads."""

    failed = False
    misread = ()

    def __init__(self, file, reference, spared=()):
        self.reference, self.spared = reference, spared

    def ids(self, texts):
        ids = self.reference.ids(texts)
        spared = {chr(c) for low, high in self.spared for c in range(low, min(high, 0x4000) + 1)}
        wrong = [any(c in text and c not in spared for c in self.misread) for text in texts]
        return [[0] if bad else one for bad, one in zip(wrong, ids, strict=True)]


@pytest.fixture
def installed(monkeypatch):
    """A fast tokenizer of version 9."""
    monkeypatch.setattr(served, "fast_version", lambda: "9")
    monkeypatch.setattr(served, "Tokie", Same)
    monkeypatch.setattr(served, "_said", set())
    tried = [(0x20000, 0x10FFFF)]
    monkeypatch.setattr(served, "differing_characters", lambda *both: tried)
    return tried


def test_equal_ids_are_recorded_with_what_they_were_compared_on(tmp_path, installed):
    plain_folder(tmp_path)
    chosen = compared_tokenizer(tmp_path, TEXTS)
    digest = read_manifest(tmp_path).files["tokenizer.json"]
    assert chosen == {"name": "tokie", "version": "9", "digest": digest, "spared": "20000-10ffff"}
    write_manifest(tmp_path, replace(read_manifest(tmp_path), tokenizer=chosen))
    fast = open_tokenizer(tmp_path)._fast
    assert isinstance(fast, Same)
    assert fast.spared == [(0x20000, 0x10FFFF)]


def test_one_difference_means_hugging_faces(tmp_path, installed, monkeypatch):
    plain_folder(tmp_path)
    monkeypatch.setattr(Same, "misread", ("\u2603",))
    assert compared_tokenizer(tmp_path, TEXTS)["name"] == "tokie"
    chosen = compared_tokenizer(tmp_path, [*TEXTS, "a \u2603 man"])
    assert chosen == {"name": "tokenizers", "reason": "tokie 9 reads 'a \u2603 man' differently"}
    installed.insert(0, (0x2603, 0x2603))  # not given to the fast one
    assert compared_tokenizer(tmp_path, ["a \u2603 man"])["spared"] == "2603 20000-10ffff"


def test_a_tokenizer_that_reads_otherwise_fails_or_lacks_is_not_taken(
    tmp_path, installed, monkeypatch
):
    plain_folder(tmp_path)
    monkeypatch.setattr(Same, "failed", True)
    assert "fails on a text" in compared_tokenizer(tmp_path, TEXTS)["reason"]
    monkeypatch.setattr(Same, "misread", ("q",))
    assert "'the quick brown fox'" in compared_tokenizer(tmp_path, TEXTS)["reason"]
    monkeypatch.setattr(Same, "misread", ())
    monkeypatch.setattr(served, "differing_characters", lambda *both: None)
    assert "many characters" in compared_tokenizer(tmp_path, TEXTS)["reason"]

    def fail(*arguments):
        raise ValueError("no such model")

    monkeypatch.setattr(served, "Tokie", fail)
    assert "fails: no such model" in compared_tokenizer(tmp_path, TEXTS)["reason"]
    monkeypatch.setattr(served, "fast_version", lambda: None)
    assert compared_tokenizer(tmp_path, TEXTS)["reason"] == "tokie is not installed"


@pytest.mark.parametrize(
    ("change", "version", "words"),
    [
        ({}, None, "it is not installed"),
        ({}, "10", "tokie 10 is installed"),
        ({"digest": "0"}, "9", "is not the file that was compared"),
    ],
)
def test_another_version_or_file_is_read_by_hugging_faces_and_said_once(
    tmp_path, installed, monkeypatch, caplog, change, version, words
):
    plain_folder(tmp_path)
    chosen = compared_tokenizer(tmp_path, TEXTS) | change
    write_manifest(tmp_path, replace(read_manifest(tmp_path), tokenizer=chosen))
    monkeypatch.setattr(served, "fast_version", lambda: version)
    with caplog.at_level(logging.WARNING):
        assert open_tokenizer(tmp_path)._fast is None
        assert open_tokenizer(tmp_path).read(["the film was slow"])
    assert caplog.text.count(words) == 1


def test_what_it_cannot_open_is_read_by_hugging_faces(tmp_path, installed, monkeypatch, caplog):
    plain_folder(tmp_path)
    chosen = compared_tokenizer(tmp_path, TEXTS)
    write_manifest(tmp_path, replace(read_manifest(tmp_path), tokenizer=chosen))

    def fail(*arguments):
        raise ValueError("no such model")

    monkeypatch.setattr(served, "Tokie", fail)
    assert open_tokenizer(tmp_path)._fast is None
    assert "no such model" in caplog.text


def test_the_fast_tokenizer_reads_a_folder_as_hugging_faces_does(tmp_path):
    pytest.importorskip("tokie", reason="the fast tokenizer is optional: leanformer[fast]")
    plain_folder(tmp_path)
    slow = open_tokenizer(tmp_path)
    chosen = compared_tokenizer(tmp_path, TEXTS)
    assert chosen["name"] == "tokie", chosen
    write_manifest(tmp_path, replace(read_manifest(tmp_path), tokenizer=chosen))
    fast = open_tokenizer(tmp_path)
    assert isinstance(fast._fast, Tokie)
    assert isinstance(fast._fast._reference, HuggingFace)
    texts = [*TEXTS, "x\x7fy", "\U0001f600 [SEP] caf\u00e9", "word " * 500, "\u0890"]
    assert fast.read(texts) == slow.read(texts)
    assert fast.read(texts, texts[::-1]) == slow.read(texts, texts[::-1])
    words = [text.split() for text in TEXTS]
    assert fast.read_words(words) == slow.read_words(words)
