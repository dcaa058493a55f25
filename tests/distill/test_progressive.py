import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from train.toy import FAST, TEXTS, examples

from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task
from leanformer.distill.progressive import Progressive, learning, only
from leanformer.distill.students.mobilebert import Mobilebert, mobilebert_from
from leanformer.models.anatomy import layers_of
from leanformer.models.tiny import tiny_model
from leanformer.train.setup import TrainSetup

SETUP = replace(FAST, epochs=6, learning_rate=3e-3, checkpoint_seconds=60.0)
STEP = Progressive(train=SETUP)


def student_of(teacher: Any, seed: int = 0) -> Any:
    """A thin MobileBERT of as many layers, as wide between them as the teacher."""
    shape = Mobilebert(layers=2, hidden=32, within=16, embedding=16, ffn=16, stacked=1, heads=4)
    return mobilebert_from(teacher, shape.shape(teacher.config.vocab_size), seed=seed)


def workspace(folder: Path, student: Any = None, kind: Any = "classification") -> Workspace:
    head = {"masked-lm": "masked"}.get(kind, "classification")
    teacher, tokenizer = tiny_model("bert", head=head, num_labels=2, num_hidden_layers=2)
    texts = examples() if kind == "classification" else Examples(texts=TEXTS)
    task = Task(kind=kind, labels=("music", "rice") if kind == "classification" else ())
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    return Workspace(
        name="student", model=student_of(teacher) if student is None else student,
        tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"), teacher=teacher,
    )  # fmt: skip


def copied(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("kind", ["classification", "masked-lm"])
def test_each_layer_learns_in_its_turn_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    given = workspace(tmp_path, kind=kind)
    states = [copied(given.model)]
    teach = Progressive._teach

    def noted(self: Progressive, space: Workspace, layer: int, place: Path) -> Any:
        found = teach(self, space, layer, place)
        states.append(copied(space.model))
        return found

    monkeypatch.setattr(Progressive, "_teach", noted)
    done = STEP.apply(given)
    first, second = (changed(*pair) for pair in itertools.pairwise(states))
    assert any("encoder.layer.0." in name for name in first)
    assert any("word_embeddings" in name for name in first)
    # a masked-LM head has the word embeddings as its decoder
    inside = ("encoder.layer.0.", "embeddings.", "predictions.decoder.weight")
    assert all(any(part in name for part in inside) for name in first)
    assert second
    assert all("encoder.layer.1." in name for name in second)
    assert all(parameter.requires_grad for parameter in done.model.parameters())
    quality, *losses = done.proofs
    assert quality.claim.endswith("on dev")
    assert [proof.claim for proof in losses] == ["training loss, layer 0", "training loss, layer 1"]
    assert all(proof.before is not None and proof.after < proof.before for proof in losses)


def test_a_shallower_bert_follows_the_last_layer_of_each_block(tmp_path: Path) -> None:
    student, _ = tiny_model("bert", num_labels=2, seed=1, num_hidden_layers=1)
    step = replace(STEP, freeze=False)
    assert step.phase(0).objectives[0].teacher_layers == "last-of-block"  # type: ignore[attr-defined]
    done = step.apply(workspace(tmp_path, student))
    assert len(done.proofs) == 2


def test_without_freezing_the_layers_below_go_on_learning(tmp_path: Path) -> None:
    model, _ = tiny_model("distilbert")
    frozen, free = ({id(p) for p in learning(model, 1, freeze)} for freeze in (True, False))
    layers = layers_of(model)
    below = [*layers[0].parameters(), *model.distilbert.embeddings.parameters()]
    assert {id(p) for p in layers[1].parameters()} == frozen
    assert free == frozen | {id(p) for p in below}
    with only(model, list(layers[1].parameters())):
        asked = {id(p) for p in model.parameters() if p.requires_grad}
    assert asked == frozen
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("stop", [9, 33])  # of 24 steps a layer: within the first, the second
def test_a_killed_transfer_goes_on_exactly(tmp_path: Path, stop: int) -> None:
    step = replace(STEP, train=replace(SETUP, checkpoint_seconds=0.0))
    whole = step.apply(workspace(tmp_path / "whole"))
    steps = 0

    class Killed(Exception):
        pass

    given = workspace(tmp_path / "part")
    handle = given.model.mobilebert.register_forward_pre_hook(lambda *_: count(given.model))

    def count(model: Any) -> None:
        nonlocal steps
        steps += model.training
        if steps > stop:
            raise Killed

    with pytest.raises(Killed):
        step.apply(given)
    handle.remove()
    done = (tmp_path / "part" / "checkpoint" / "layer-00" / "done").is_dir()
    assert done == (stop > 24)
    again = step.apply(workspace(tmp_path / "part"))
    assert again.proofs == whole.proofs
    assert not changed(copied(whole.model), copied(again.model))
    # once all is done nothing is trained, and the model is there
    third = workspace(tmp_path / "part")
    third.model.mobilebert.register_forward_pre_hook(lambda *_: pytest.fail("it ran again"))
    assert step.apply(third).proofs == whole.proofs
    assert not changed(copied(whole.model), copied(third.model))


def test_outputs_are_kept_once_for_all_layers(tmp_path: Path) -> None:
    step = replace(STEP, attention=0.0, teacher_cache=tmp_path / "kept")
    assert len(step.apply(workspace(tmp_path)).proofs) == 3
    assert (tmp_path / "kept" / "hidden.bin").is_file()


def test_what_cannot_be_transferred_is_refused(tmp_path: Path) -> None:
    def refused(message: str, step: Progressive = STEP, **settings: Any) -> None:
        student, _ = tiny_model("bert", num_labels=2, **settings)
        before = copied(student)
        with pytest.raises(ValueError, match=message):
            step.apply(workspace(tmp_path, student))
        assert not changed(before, copied(student))

    refused("width 16 and 32 are compared without a projection", hidden_size=16)
    refused("set attention = 0", num_hidden_layers=2, num_attention_heads=2)
    refused("last-of-block cannot cut 2 teacher layers into 3", num_hidden_layers=3)
    with pytest.raises(ValueError, match="progressive: there is no teacher"):
        STEP.apply(workspace(tmp_path).with_(teacher=None))
    with pytest.raises(ValueError, match=r"attention: -1 is not at least 0"):
        Progressive(attention=-1)
    with pytest.raises(ValueError, match="too large to keep"):
        Progressive(teacher_cache=tmp_path)


def test_a_folder_of_another_transfer_is_refused(tmp_path: Path) -> None:
    STEP.apply(workspace(tmp_path))
    with pytest.raises(ValueError, match="layer-00 holds a progressive transfer with other"):
        replace(STEP, attention=0.5).apply(workspace(tmp_path))


def test_a_layer_that_learns_nothing_is_named(tmp_path: Path) -> None:
    still = TrainSetup(epochs=1, batch_size=16, learning_rate=1e-9, precision="fp32")
    with pytest.raises(NoEffect, match="progressive: layer 0: training loss"):
        replace(STEP, train=still).apply(workspace(tmp_path))
