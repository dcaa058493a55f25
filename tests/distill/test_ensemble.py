from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from train.toy import FAST, TEXTS, examples

from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task, encode_examples
from leanformer.distill.distillation import outputs_of
from leanformer.distill.ensemble import Ensemble, average_answers, average_pooled
from leanformer.distill.kept_outputs import key_of
from leanformer.distill.objective import dims_of
from leanformer.distill.objectives import AttentionMaps, Cosine, HiddenStates, Logits, SoftTargets
from leanformer.distill.step import Distill
from leanformer.models.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train import Supervised, fit

SETUP = replace(FAST, epochs=8, checkpoint_seconds=60.0)
LABELS = {"classification": ("music", "rice"), "tokens": ("O", "rice")}
HEADS = {"tokens": "tokens", "embedding": "embedding", "masked-lm": "masked"}


def model_for(kind: str, seed: int = 0, **settings: Any) -> Any:
    width = 1 if kind == "regression" else 2
    head = HEADS.get(kind, "classification")
    model, _ = tiny_model("bert", head=head, num_labels=width, seed=seed, **settings)
    if kind in LABELS:
        model.config.id2label = dict(enumerate(LABELS[kind]))
        model.config.label2id = {name: index for index, name in enumerate(LABELS[kind])}
    return model


def texts_for(kind: Any) -> Examples:
    return Examples(texts=TEXTS) if kind in ("embedding", "masked-lm") else examples(kind)


def inputs() -> dict[str, torch.Tensor]:
    return dict(tiny_tokenizer("bert")(TEXTS[:3], padding=True, return_tensors="pt"))


def test_probabilities_are_averaged() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(7, 5, generator=generator, dtype=torch.float64) for _ in range(3)]
    found = average_answers(logits, "classification")
    expected = sum(one.exp() / one.exp().sum(-1, keepdim=True) for one in logits) / 3
    torch.testing.assert_close(found.exp(), expected)
    # equal teachers say what each of them says
    same = average_answers([logits[0]] * 2, "classification")
    torch.testing.assert_close(same, F.log_softmax(logits[0], dim=-1))


def test_numbers_are_averaged() -> None:
    logits = [torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [-3.0]])]
    assert average_answers(logits, "regression").tolist() == [[1.5], [0.0]]


def test_vectors_are_averaged_by_their_direction() -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]])
    states = [torch.randn(2, 7, 5, generator=generator) for _ in range(2)]
    states[1] = 100 * states[1]  # a teacher with long states weighs no more
    pooled = [
        torch.stack([state[row, : int(mask[row].sum())].mean(0) for row in range(2)])
        for state in states
    ]
    expected = F.normalize(sum(F.normalize(one, dim=-1) for one in pooled), dim=-1)
    ours = average_pooled(states, mask)
    found = torch.stack([ours[row, : int(mask[row].sum())].mean(0) for row in range(2)])
    torch.testing.assert_close(F.normalize(found, dim=-1), expected)


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens", "masked-lm"])
def test_an_ensemble_answers_like_a_model(kind: Any) -> None:
    teachers = [model_for(kind, seed) for seed in range(3)]
    whole = Ensemble(teachers, kind)
    assert dims_of(whole) == dims_of(teachers[0])
    assert whole.get_input_embeddings() is teachers[0].get_input_embeddings()
    found = outputs_of(whole, inputs(), kind)
    alone = [outputs_of(one, inputs(), kind).logits for one in teachers]
    assert torch.equal(found.logits, average_answers(alone, kind))
    with pytest.raises(ValueError, match="hidden states of several teachers are not compared"):
        outputs_of(whole, inputs(), kind, hidden=True)


def test_hidden_states_are_averaged_where_it_is_asked_for() -> None:
    teachers = [model_for("embedding", seed) for seed in range(2)]
    found = outputs_of(Ensemble(teachers, "embedding", True), inputs(), "embedding", hidden=True)
    first, second = (outputs_of(one, inputs(), "embedding", hidden=True) for one in teachers)
    for level, a, b in zip(found.hidden, first.hidden, second.hidden, strict=True):
        torch.testing.assert_close(level, (a + b) / 2)
    expected = F.normalize(first.logits + second.logits, dim=-1)
    torch.testing.assert_close(found.logits, expected)


def test_teachers_that_have_no_average_are_refused() -> None:
    deep, shallow = model_for("classification"), model_for("classification", num_hidden_layers=2)
    Ensemble([deep, shallow], "classification")
    with pytest.raises(ValueError, match="average_hidden: the teachers are not of one"):
        Ensemble([deep, shallow], "classification", average_hidden=True)
    with pytest.raises(ValueError, match="their outputs are 2, 1 wide and have no average"):
        Ensemble([deep, model_for("regression")], "classification")
    thin = model_for("embedding", hidden_size=16)
    with pytest.raises(ValueError, match="their outputs are 32, 16 wide"):
        Ensemble([model_for("embedding"), thin], "embedding")


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


def test_kept_outputs_are_of_all_teachers(tmp_path: Path) -> None:
    given = workspace(tmp_path, "classification")
    kept = tmp_path / "kept"
    setup = replace(SETUP, epochs=1)
    step = Distill(train=setup, keep_outputs=kept, regain=False)
    both = replace(step, teachers=(str(tmp_path / "second"),))
    both.apply(given)
    assert np.fromfile(kept / "filled.bin", np.uint8).all()
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
    with pytest.raises(ValueError, match=r"another vocabulary than .*, e\.g\. 'sunflower'\)"):
        Distill(teachers=(str(tmp_path / "larger"),), train=SETUP).apply(given)


def test_objectives_without_a_common_answer_are_refused() -> None:
    with pytest.raises(ValueError, match="heads of several teachers have no average"):
        Distill(objectives=(AttentionMaps(),), teachers=("a",), average_hidden=True)
    with pytest.raises(ValueError, match="hidden states of several teachers are not compared"):
        Distill(objectives=(HiddenStates(),), teachers=("a",))
    assert Distill(objectives=(HiddenStates(),), teachers=("a",), average_hidden=True).teachers
