"""Hashed n-grams: saved, loaded and served like any other system, without torch."""

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime.systems.seams import (
    LABELS,
    TEXTS,
    check_processes,
    check_served,
    check_tags,
    check_threads,
)
from typer.testing import CliRunner

import leanformer
from leanformer.cli import app
from leanformer.data import Examples, Task
from leanformer.distill.ngrams import fit_ngrams
from leanformer.measure.folders import measure_folders
from leanformer.runtime.hashed_ngrams.kernel import kernel_name
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.serving.smoke import smoke_test
from leanformer.runtime.systems.hashed_ngrams import HashedNgrams

KINDS = ("classification", "multi-label", "regression", "ranking", "tokens")


def fitted(kind: str = "classification") -> tuple[HashedNgrams, list[Any], list[str] | None]:
    """A fitted model of a kind of task, and texts with pairs that it answers."""
    if kind == "classification":
        examples = Examples(texts=TEXTS, labels=[0, 0, 1, 1, 3, 3])
        return fit_ngrams(examples, Task(kind=kind, labels=LABELS)), TEXTS, None
    if kind == "multi-label":
        labels = [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]
        task = Task(kind=kind, labels=LABELS[:2])
        return fit_ngrams(Examples(texts=TEXTS, labels=labels), task), TEXTS, None
    if kind in ("regression", "ranking"):
        examples = Examples(
            texts=TEXTS, pairs=TEXTS[::-1], labels=[0.5, 1.0, 0.0, 0.0, 1.0, 0.5], groups=["q"] * 6
        )
        return fit_ngrams(examples, Task(kind=kind)), TEXTS, TEXTS[::-1]
    words = [text.split() for text in TEXTS]
    tags = [[0] * (len(row) - 1) + [1] for row in words]
    examples = Examples(texts=TEXTS, words=words, labels=tags)
    return fit_ngrams(examples, Task(kind="tokens", labels=("O", "B-X"))), [*words, []], None


def test_lengths_are_words() -> None:
    def lengths(system, *given):
        return [one.length for one in system.prepare(*given)]

    assert lengths(fitted()[0], ["one two", "three"]) == [2, 1]
    assert lengths(fitted("regression")[0], ["one two"], ["three four five"]) == [5]
    assert lengths(fitted("tokens")[0], [["one", "two"], []]) == [2, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_saved_answers_as_what_was_fitted(kind: str, tmp_path: Path) -> None:
    system, texts, pairs = fitted(kind)
    system.save(tmp_path / "x")
    again = leanformer.load(tmp_path / "x", threads=2)
    assert again.system.pins == {"threads": 2, "kernel": kernel_name()}
    found = again.system.answer(texts, pairs)
    for ours, theirs in zip(found, system.answer(texts, pairs), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == np.float32
    width = len(system.manifest.labels) or 1
    assert found[0].shape == ((2, width) if kind == "tokens" else (width,))
    assert system.answer([], pairs and []) == []
    manifest = read_manifest(tmp_path / "x")
    assert (manifest.system, manifest.backend) == ("hashed-ngrams", "native")
    assert sorted(manifest.files) == ["hashed-ngrams.json", "hashed-ngrams.safetensors"]


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(), max_size=4))
def test_a_text_is_answered_alike_whatever_stands_beside_it(texts: list[str]) -> None:
    together = SYSTEM.answer(texts)
    assert len(together) == len(texts)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_array_equal(SYSTEM.answer([text])[0], row)


SYSTEM = fitted()[0]


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens"])
def test_several_threads_and_many_runs_answer_as_one(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, texts, pairs = fitted(kind)
    many, beside = texts * 40, None if pairs is None else pairs * 40
    expected = np.concatenate([np.atleast_2d(row) for row in system.answer(many, beside)])
    for few, at_once in ((1, 2**24), (7, 1000)):
        monkeypatch.setattr("leanformer.runtime.systems.hashed_ngrams._FEW", few)
        monkeypatch.setattr("leanformer.runtime.systems.hashed_ngrams._AT_ONCE", at_once)
        system.threads = 5
        found = np.concatenate([np.atleast_2d(row) for row in system.answer(many, beside)])
        np.testing.assert_array_equal(found, expected)


def test_eight_threads_get_the_answers_to_their_own_texts(tmp_path: Path) -> None:
    SYSTEM.save(tmp_path / "x")
    check_threads(tmp_path / "x")


def test_it_is_served_raced_and_measured_like_a_transformer(tmp_path: Path) -> None:
    SYSTEM.save(tmp_path / "x")
    check_served(tmp_path / "x", "native", "int8")
    assert smoke_test(tmp_path / "x", "native", "int8").reason == ""
    served = {"n-grams": (tmp_path / "x", "native", "int8")}
    quantities, _ = measure_folders(served, TEXTS * 20, rounds=1, threads=1)
    assert quantities["n-grams"]["throughput"].value > 0
    assert "flops" not in quantities["n-grams"]


def test_the_command_line_predicts_and_measures(tmp_path: Path) -> None:
    SYSTEM.save(tmp_path / "x")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS * 20))
    asked = [str(tmp_path / "x"), "--in", str(tmp_path / "texts.txt")]
    ended = CliRunner().invoke(app, ["predict", *asked])
    assert ended.exit_code == 0, ended.output
    assert '"film"' in ended.stdout or "film" in ended.stdout
    ended = CliRunner().invoke(app, ["measure", *asked, "--threads", "1"])
    assert ended.exit_code == 0, ended.output


def test_words_are_tagged_as_spans(tmp_path: Path) -> None:
    fitted("tokens")[0].save(tmp_path / "x")
    check_tags(tmp_path / "x")


def test_a_forked_and_a_new_process_answer(tmp_path: Path) -> None:
    SYSTEM.save(tmp_path / "x")
    check_processes(tmp_path / "x")


def test_a_copy_has_memory_of_its_own() -> None:
    expected = SYSTEM.answer(TEXTS)
    for copied in (pickle.loads(pickle.dumps(SYSTEM)), copy.deepcopy(SYSTEM)):
        given_table, own = copied._table.given, SYSTEM._table.given
        assert given_table[1] != own[1]
        np.testing.assert_array_equal(copied.answer(TEXTS), expected)


@pytest.mark.parametrize("kernel", ["", "numpy"])
def test_serving_it_imports_neither_torch_nor_scikit_learn(kernel: str, tmp_path: Path) -> None:
    SYSTEM.save(tmp_path / "x")
    code = (
        "import sys; sys.modules.update({'torch': None, 'sklearn': None, 'scipy': None})\n"
        "import leanformer\n"
        f"print(leanformer.load({str(tmp_path / 'x')!r}).answer(['dog fox'])[0].tolist())\n"
        "sys.exit('openvino' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True,
        env={"PYTHONPATH": ":".join(sys.path), "LEANFORMER_NGRAMS": kernel},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == SYSTEM.answer(["dog fox"])[0].tolist()


def test_the_command_line_predicts_without_torch(tmp_path: Path) -> None:
    """Torch takes longer to import than millions of characters to answer."""
    SYSTEM.save(tmp_path / "x")
    (tmp_path / "in.txt").write_text("dog fox\n")
    code = (
        "import sys; sys.modules.update({'torch': None, 'transformers': None, 'sklearn': None})\n"
        f"sys.argv = ['leanformer', 'predict', {str(tmp_path / 'x')!r}, '--in',"
        f" {str(tmp_path / 'in.txt')!r}]\n"
        "from leanformer.cli import main\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["text"] == "dog fox"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": 2}, "features of version 2, and this version of leanformer reads 1"),
        (
            {"bits": "12"},
            "hashed-ngrams.json is damaged .bits is '12', not an integer from 1 to 24",
        ),
        ({"bits": 3}, "buckets do not rise, or reach beyond"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    SYSTEM.save(tmp_path / "x")
    file = tmp_path / "x" / "hashed-ngrams.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    with pytest.raises(ValueError, match=message):
        HashedNgrams.open(tmp_path / "x", SYSTEM.manifest, threads=1)


def test_numbers_that_were_cut_are_refused_by_the_name_of_their_file(tmp_path: Path) -> None:
    SYSTEM.save(tmp_path / "x")
    file = tmp_path / "x" / "hashed-ngrams.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"hashed-ngrams\.safetensors is damaged: its checksum"):
        leanformer.load(tmp_path / "x")
    write_manifest(tmp_path / "x", SYSTEM.manifest)  # as if it had always been so
    with pytest.raises(
        ValueError, match=r"is damaged .*not a whole safetensors file.*fit it again"
    ):
        leanformer.load(tmp_path / "x")


def test_a_manifest_of_other_labels_is_refused(tmp_path: Path) -> None:
    manifest = replace(SYSTEM.manifest, labels=("a", "b"))
    with pytest.raises(ValueError, match=r"weights is int8 \(\d+, 4\), not int8 \(\d+, 2\)"):
        HashedNgrams(SYSTEM.numbers, SYSTEM.bits, manifest)
