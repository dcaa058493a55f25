"""Whose head a recipe's model has: its own, in its order of labels, or a new one on request."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_data
import torch

from leanformer.data import Source
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.recipe import Recipe, align_labels, open_model, read, run
from leanformer.train import TrainSetup
from leanformer.train.steps.finetune import Finetune

STEPS = (CutVocabulary(),)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(path=str(tiny_data.write_data(tmp_path_factory.mktemp("data") / "animals")))


def write_head(folder: Path, *labels: str) -> str:
    model, tokenizer = tiny_model("bert", num_labels=len(labels))
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: number for number, label in enumerate(labels)}
    save_model(model, tokenizer, folder)
    return str(folder)


def test_the_first_trained_head_orders_the_labels(data: Source, tmp_path: Path) -> None:
    dataset = data.read()
    bare = str(tiny_data.write_encoder(tmp_path / "bare"))
    head = write_head(tmp_path / "head", "money", "none", "animal")
    assert align_labels(dataset, None, bare) is dataset
    aligned = align_labels(dataset, None, bare, head)
    assert aligned.task.labels == ("money", "none", "animal")
    assert align_labels(aligned, head) is aligned
    assert aligned.train.labels == [{0: 2, 1: 0}[label] for label in dataset.train.labels or ()]
    model, _ = open_model(head, aligned, 0)
    assert torch.equal(
        model.classifier.weight, load_model(head, "classification")[0].classifier.weight
    )
    with pytest.raises(ValueError, match="give the same labels in the same order"):
        open_model(head, dataset, 0)


def test_a_run_keeps_a_head_whose_order_is_its_own(data: Source, tmp_path: Path) -> None:
    head = write_head(tmp_path / "head", "money", "animal")
    done = run(Recipe(model=head, data=data, steps=STEPS), tmp_path / "run")
    trained, _ = load_model(head, "classification")
    assert done.model.config.id2label == {0: "money", 1: "animal"}
    assert done.dataset.task.labels == ("money", "animal")
    assert torch.equal(done.model.classifier.weight, trained.classifier.weight)
    again = run(Recipe(model=head, data=data, steps=STEPS), tmp_path / "run")
    assert again.model.config.id2label == done.model.config.id2label


def test_the_teachers_order_counts_for_a_model_without_a_head(data: Source, tmp_path: Path) -> None:
    bare = str(tiny_data.write_encoder(tmp_path / "bare"))
    head = write_head(tmp_path / "head", "money", "animal")
    done = run(Recipe(model=bare, teacher=head, data=data, steps=STEPS), tmp_path / "run")
    assert done.model.config.id2label == done.teacher.config.id2label == {0: "money", 1: "animal"}


def test_a_fresh_head_replaces_that_for_other_labels(data: Source, tmp_path: Path) -> None:
    head = write_head(tmp_path / "head", "NEGATIVE", "POSITIVE")
    asked = Recipe(model=head, data=data, steps=STEPS, seed=3)
    with pytest.raises(ValueError, match=r"data has others .*fresh_head = true \(a recipe\)"):
        run(asked, tmp_path / "refused")
    fresh = replace(asked, fresh_head=True)
    done, again = run(fresh, tmp_path / "a"), run(fresh, tmp_path / "b")
    other = run(replace(fresh, seed=4), tmp_path / "c")
    trained, _ = load_model(head, "classification")
    assert done.teacher is None  # the head that was there is nobody's teacher
    assert done.model.config.id2label == {0: "animal", 1: "money"}
    assert torch.equal(done.model.classifier.weight, again.model.classifier.weight)
    for one in (other.model, trained):
        assert not torch.equal(done.model.classifier.weight, one.classifier.weight)
    layer = done.model.bert.encoder.layer[0].output.dense.weight
    assert torch.equal(layer, trained.bert.encoder.layer[0].output.dense.weight)


def test_a_fresh_head_is_trained_once(data: Source, tmp_path: Path) -> None:
    """Resumed, the run goes on with the head that was trained."""
    head = write_head(tmp_path / "head", "animal", "money")
    setup = TrainSetup(epochs=6, learning_rate=3e-3, batch_size=16, precision="fp32")
    steps = (Finetune(train=setup),)
    asked = Recipe(model=head, data=data, steps=steps, fresh_head=True)
    done, again = run(asked, tmp_path / "run"), run(asked, tmp_path / "run")
    assert torch.equal(done.model.classifier.weight, again.model.classifier.weight)
    assert done.teacher_saved == str(tmp_path / "run" / "00-finetune" / "model")


def test_it_is_asked_for_in_a_recipe(tmp_path: Path) -> None:
    text = 'model = "m"\n[data]\npath = "d.tsv"\n[[steps]]\nuse = "cut-vocabulary"\n'
    (tmp_path / "a.toml").write_text(text)
    assert read(tmp_path / "a.toml").fresh_head is False
    assert read(tmp_path / "a.toml", ["fresh_head=true"]).fresh_head is True
