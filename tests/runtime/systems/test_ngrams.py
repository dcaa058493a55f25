"""N-grams with a linear model: saved, loaded and served like any other system, without torch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime.systems.seams import (
    LABELS,
    TEXTS,
    check_processes,
    check_served,
    check_tags,
    check_threads,
)

import leanformer
from leanformer.data import Examples, Task
from leanformer.measure.tfidf import fit_tfidf
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.systems.ngrams import Ngrams


def fitted(kind: str) -> tuple[Ngrams, list[Any], list[str] | None]:
    """A fitted model of a kind of task, and texts with pairs that it answers."""
    if kind == "classification":
        examples = Examples(texts=TEXTS, labels=[0, 0, 1, 1, 3, 3])
        return fit_tfidf(examples, Task(kind=kind, labels=LABELS)), TEXTS, None
    if kind == "binary":
        examples = Examples(texts=TEXTS, labels=[0, 0, 1, 1, 1, 1])
        task = Task(kind="classification", labels=LABELS[:2])
        return fit_tfidf(examples, task), TEXTS, None
    if kind == "regression":
        examples = Examples(texts=TEXTS, pairs=TEXTS[::-1], labels=[0.5, 1.0, 2.0, 2.0, 1.0, 0.5])
        return fit_tfidf(examples, Task(kind=kind)), TEXTS, TEXTS[::-1]
    if kind == "embedding":
        targets = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
        return fit_tfidf(Examples(texts=TEXTS), Task(kind=kind), targets), TEXTS, None
    words = [text.split() for text in TEXTS]
    tags = [[0] * (len(row) - 1) + [1] for row in words]
    examples = Examples(texts=TEXTS, words=words, labels=tags)
    return fit_tfidf(examples, Task(kind="tokens", labels=("O", "B-X"))), [*words, []], None


KINDS = ("classification", "binary", "regression", "embedding", "tokens")


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_saved_answers_as_what_was_fitted(kind: str, tmp_path: Path) -> None:
    system, texts, pairs = fitted(kind)
    system.save(tmp_path / "x")
    again = leanformer.load(tmp_path / "x")
    for ours, theirs in zip(
        again.system.answer(texts, pairs), system.answer(texts, pairs), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    manifest = read_manifest(tmp_path / "x")
    assert (manifest.system, manifest.backend) == ("ngrams", "scikit-learn")
    assert sorted(manifest.files) == ["ngrams.json", "ngrams.safetensors"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(texts=st.lists(st.text(min_size=1).filter(str.strip), max_size=4))
def test_a_text_is_answered_alike_whatever_stands_beside_it(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    system, _, _ = fitted("classification")
    together = system.answer(texts)
    assert len(together) == len(texts)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_array_equal(system.answer([text])[0], row)


def test_eight_threads_get_the_answers_to_their_own_texts(tmp_path: Path) -> None:
    fitted("classification")[0].save(tmp_path / "x")
    check_threads(tmp_path / "x")


def test_it_is_served_raced_and_measured_like_a_transformer(tmp_path: Path) -> None:
    fitted("classification")[0].save(tmp_path / "x")
    check_served(tmp_path / "x", "scikit-learn", "fp64")


def test_words_are_tagged_as_spans(tmp_path: Path) -> None:
    fitted("tokens")[0].save(tmp_path / "x")
    check_tags(tmp_path / "x")


def test_a_forked_and_a_new_process_answer(tmp_path: Path) -> None:
    fitted("classification")[0].save(tmp_path / "x")
    check_processes(tmp_path / "x")


def test_serving_it_does_not_import_torch(tmp_path: Path) -> None:
    fitted("classification")[0].save(tmp_path / "x")
    code = (
        "import sys, leanformer; "
        f"print(leanformer.load({str(tmp_path / 'x')!r}).predict(['dog fox'])[0].label); "
        "sys.exit('torch' in sys.modules or 'openvino' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert (ended.stdout, ended.returncode) == ("pet\n", 0), ended.stderr


def test_a_damaged_folder_is_refused(tmp_path: Path) -> None:
    fitted("classification")[0].save(tmp_path / "x")
    file = tmp_path / "x" / "ngrams.json"
    file.write_text(file.read_text().replace("dog", "dig"))
    with pytest.raises(ValueError, match=r"ngrams.json is damaged: its checksum"):
        leanformer.load(tmp_path / "x")


def test_numbers_that_were_cut_are_refused_by_the_name_of_their_file(tmp_path: Path) -> None:
    system = fitted("classification")[0]
    system.save(tmp_path / "x")
    file = tmp_path / "x" / "ngrams.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    write_manifest(tmp_path / "x", system.manifest)  # as if it had always been so
    with pytest.raises(
        ValueError, match=r"is damaged .*not a whole safetensors file.*fit it again"
    ):
        leanformer.load(tmp_path / "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda parts: parts["analysers"][0]["terms"].pop(), r"is damaged \("),
        (lambda parts: parts["analysers"].pop(), "is damaged .*weights of shape"),
        (lambda parts: parts.pop("analysers"), "is damaged .*analysers"),
        (lambda parts: parts["analysers"][0].update(reads="minds"), "is damaged .*minds"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    system = fitted("classification")[0]
    system.save(tmp_path / "x")
    parts = json.loads((tmp_path / "x" / "ngrams.json").read_text())
    change(parts)
    (tmp_path / "x" / "ngrams.json").write_text(json.dumps(parts))
    with pytest.raises(ValueError, match=message):
        Ngrams.open(tmp_path / "x", system.manifest, threads=1)


def test_numbers_that_do_not_fit_are_refused() -> None:
    system = fitted("classification")[0]
    numbers = {name: value for name, value in system.numbers.items() if name != "b"}
    with pytest.raises(ValueError, match="no b"):
        Ngrams(system.analysers, numbers, system.manifest)
    numbers = {**system.numbers, "classes": np.array([0, 1, 9])}
    with pytest.raises(ValueError, match=r"classes \[0, 1, 9\] for 4 labels"):
        Ngrams(system.analysers, numbers, system.manifest)
