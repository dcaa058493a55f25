from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distill.teachers_toy import model_for, texts_for
from distill.toy import LABELS, SETUP
from train.toy import examples

from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Task, encode_examples
from leanformer.distill.objectives import Cosine, Logits, SoftTargets
from leanformer.distill.step import Distill
from leanformer.distill.teachers.ensemble import Ensemble
from leanformer.distill.teachers.teacher_cache import key_of
from leanformer.models.io.save import save_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train import Supervised, fit


def workspace(folder: Path, kind: Any, further: Any = None) -> Workspace:
    """A student, a teacher that has learnt the task, and `further` in the folder "second"."""
    tokenizer, texts = tiny_tokenizer("bert"), texts_for(kind)
    teacher, second = model_for(kind), model_for(kind, 1) if further is None else further
    if kind in ("classification", "regression"):
        for model in (teacher, second):
            fit(model, encode_examples(texts, tokenizer, kind, 32), Supervised(kind), SETUP)
    save_model(second, tokenizer, folder / "second")
    task = Task(kind=kind, labels=LABELS.get(kind, ()))
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    return Workspace(
        name="student", model=model_for(kind, 2, num_hidden_layers=2), tokenizer=tokenizer,
        dataset=dataset, folder=folder, record=Record(folder / "record.jsonl"), teacher=teacher,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "objective"),
    [("classification", SoftTargets()), ("regression", Logits()), ("embedding", Cosine())],
)
def test_a_student_learns_from_several_teachers(tmp_path: Path, kind: Any, objective: Any) -> None:
    given = workspace(tmp_path, kind)
    step = Distill(objectives=(objective,), teachers=(str(tmp_path / "second"),), train=SETUP)
    done = step.apply(given)
    assert done.teacher is given.teacher
    (proof,) = done.proofs
    assert proof.before is not None
    assert proof.after > proof.before
    alone = workspace(tmp_path / "alone", kind)
    replace(step, teachers=()).apply(alone)
    assert not torch.equal(alone.model.base_model.embeddings.word_embeddings.weight,
                           done.model.base_model.embeddings.word_embeddings.weight)  # fmt: skip


def test_cached_outputs_are_of_all_teachers(tmp_path: Path) -> None:
    given = workspace(tmp_path, "classification")
    kept = tmp_path / "kept"
    setup = replace(SETUP, epochs=1)
    step = Distill(train=setup, teacher_cache=kept, require_improvement=False)
    both = replace(step, teachers=(str(tmp_path / "second"),))
    both.apply(given)
    assert np.fromfile(kept / "checksums.bin", np.uint64).all()
    with pytest.raises(ValueError, match="holds the outputs of another teacher"):
        step.apply(given)
    encoded = encode_examples(examples(), given.tokenizer, "classification", 32)
    models = [model_for("classification", seed) for seed in range(3)]
    keys = {
        key_of(Ensemble(pair, "classification"), encoded, None, "classification")
        for pair in (models[:2], models[1:], models[::2])
    }
    assert len(keys) == 3


def test_further_teachers_that_do_not_suit_are_refused(tmp_path: Path) -> None:
    def refused(message: str, further: Any, name: str) -> None:
        given = workspace(tmp_path / name, "tokens", further)
        step = Distill(teachers=(str(tmp_path / name / "second"),), train=SETUP)
        with pytest.raises(ValueError, match=message):
            step.apply(given)

    refused("second has no trained head for tokens", model_for("embedding"), "bare")
    other = model_for("tokens")
    other.config.id2label = {0: "rice", 1: "O"}
    other.config.label2id = {"rice": 0, "O": 1}
    refused("give the same labels in the same order", other, "order")
    given = workspace(tmp_path / "words", "tokens")
    vocabulary = {**given.tokenizer.get_vocab(), "sunflower": len(given.tokenizer)}
    larger = model_for("tokens", vocab_size=len(vocabulary))
    save_model(larger, type(given.tokenizer)(vocab=vocabulary), tmp_path / "larger")
    with pytest.raises(ValueError, match=r"tokens compares .*vocabularies differ \(158, 159 "):
        Distill(teachers=(str(tmp_path / "larger"),), train=SETUP).apply(given)
