from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from distill.toy import SETUP
from train.toy import TEXTS

from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task
from leanformer.data.packing import cut, documents, pack
from leanformer.distill.distillation import Distillation
from leanformer.distill.objectives import (
    AttentionMaps,
    HiddenStates,
    Logits,
    ReverseKl,
    SoftTargets,
)
from leanformer.distill.step import Distill
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.train import Supervised, fit
from leanformer.train.steps.documents import encode_documents

KIND = "causal-lm"
TASK = Task(kind=KIND)
SOON = replace(SETUP, steps=30)


def workspace(folder: Path, family: str = "llama", task: Task = TASK, **fields: Any) -> Workspace:
    """A student of two layers beside a teacher of three that has learnt the texts."""
    texts = Examples(texts=TEXTS)
    teacher, tokenizer = tiny_model(family, head="causal")
    rows, _ = encode_documents(TEXTS, tokenizer, KIND, 32)
    fit(teacher, rows, Supervised(KIND), SOON)
    student, _ = tiny_model(family, head="causal", seed=1, num_hidden_layers=2, **fields)
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts, unlabelled=texts)
    return Workspace(
        name="student", model=student, tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"), teacher=teacher,
    )  # fmt: skip


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("objective", [SoftTargets(), ReverseKl(), Logits()])
@pytest.mark.parametrize("packing", [True, False])
def test_a_decoder_learns_from_another(
    tmp_path: Path, family: str, objective: Any, packing: bool
) -> None:
    given = workspace(tmp_path, family)
    kept = {key: value.clone() for key, value in given.teacher.state_dict().items()}
    objectives = (objective, HiddenStates(weight=0.1))
    done = Distill(objectives=objectives, train=SOON, packing=packing, max_length=40).apply(given)
    (proof,) = done.proofs
    assert proof.claim == "perplexity on dev"
    assert proof.before is not None
    assert proof.after < 0.75 * proof.before
    assert ("packed into" in proof.note) == packing
    after = given.teacher.state_dict()
    assert all(torch.equal(after[key], value) for key, value in kept.items())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_packed_texts_are_compared_as_if_they_stood_alone(tmp_path: Path, family: str) -> None:
    given = workspace(tmp_path, family)
    loss = Distillation((SoftTargets(), HiddenStates()), given.model, given.teacher, TASK)
    found = documents(TEXTS, given.tokenizer)
    packed = pack(found, KIND, 60, given.tokenizer.pad_token_id).encoded
    single = cut(found, KIND, 60, given.tokenizer.pad_token_id)
    assert len(packed) < len(single) / 2
    totals = []
    for encoded in (packed, single):
        batches = [encoded.batch([index]) for index in range(len(encoded))]
        terms = [loss(given.model, batch) for batch in batches]
        totals.append([sum(float(row[n].total.detach()) for row in terms) for n in range(2)])
    # the teacher answers in bf16, whose rounding depends on the shapes: hence the tolerance
    assert totals[0] == pytest.approx(totals[1], rel=0.01)


def test_several_teachers_teach_packed_texts(tmp_path: Path) -> None:
    given = workspace(tmp_path)
    save_model(given.teacher, given.tokenizer, tmp_path / "second")
    step = Distill(train=SOON, packing=True, teachers=(str(tmp_path / "second"),))
    (proof,) = step.apply(given).proofs
    assert proof.ok


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="packing: what attention is given says nothing of which"):
        Distill(objectives=(AttentionMaps(),), packing=True)
    given = workspace(tmp_path)
    with pytest.raises(ValueError, match="teacher_cache: logits of the whole vocabulary for every"):
        Distill(teacher_cache=tmp_path / "cache").apply(given)
    other = workspace(tmp_path, task=Task(kind="embedding"))
    with pytest.raises(ValueError, match="packing: the task is embedding, and only texts whose"):
        Distill(packing=True).apply(other)
    cut_down = workspace(tmp_path, vocab_size=500)
    with pytest.raises(ValueError, match="predicts one of 500 tokens and its teacher one of 420"):
        Distill().apply(cut_down)
