"""What makes a training another one, and what does not."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train.toy import FAST, toy
from train.two_terms import TwoTerms

from leanformer.core.identity.differences import differences
from leanformer.data import Task
from leanformer.distill.distillation import Distillation
from leanformer.distill.objectives import Cosine, HiddenStates, SoftTargets
from leanformer.distill.teachers.translation import Translation
from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.tiny import tiny_model
from leanformer.numerics.pooling import Pooling
from leanformer.train import Supervised, fit
from leanformer.train.batches import ShuffledBatches
from leanformer.train.checkpoints.identity import _WORDS, identify, refuse_other
from leanformer.train.masking import Masking
from leanformer.train.steps.pretrain import MaskedLanguage

TASK = Task(kind="classification", labels=("music", "rice"))
ONE_EACH = Translation(torch.arange(9).unsqueeze(1), torch.ones(9, dtype=torch.long))
MASKING = Masking(mask=4, vocabulary=99, special=(0, 1))


def identity(**changes: Any) -> dict[str, Any]:
    model, encoded = toy()
    batches = ShuffledBatches(changes.pop("data", encoded), batch_size=4, max_tokens=64, seed=0)
    parts = {"model": model, "batches": batches, "loss": Supervised("classification")}
    parts |= {"setup": FAST, "seed": 0}
    return identify(**{**parts, **changes})


def distillation(**changes: Any) -> Distillation:
    student, teacher = toy()[0], toy(seed=3)[0]
    torch.manual_seed(0)
    parts = {"objectives": (SoftTargets(), HiddenStates()), "student": student}
    return Distillation(**{**parts, "teacher": teacher, "task": TASK, **changes})


def relabelled() -> Any:
    encoded = toy()[1]
    return replace(encoded, labels=[*encoded.labels[:-1], 1 - encoded.labels[-1]])


def retexted() -> Any:
    encoded = toy()[1]
    first = {**encoded.rows[0], "input_ids": [*encoded.rows[0]["input_ids"][:-1], 5]}
    return replace(encoded, rows=[first, *encoded.rows[1:]])


def test_the_same_training_is_the_same() -> None:
    first = identity(loss=distillation())
    assert identity(loss=distillation()) == first
    assert json.loads(json.dumps(first)) == first
    assert identity(setup=replace(FAST, checkpoint_seconds=7.0)) == identity()
    ours, labels = toy()[1], np.array(toy()[1].labels)
    assert identity(data=replace(ours, labels=labels.tolist())) == identity()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, lambda: {"data": relabelled()}, "the labels of the training data"),
        ({}, lambda: {"data": retexted()}, "the texts of the training data"),
        ({}, lambda: {"setup": replace(FAST, epochs=4)}, "setup.epochs (3 → 4)"),
        ({}, lambda: {"setup": replace(FAST, precision="bf16")}, "setup.precision (fp32 → bf16)"),
        ({}, lambda: {"seed": 1}, "seed (0 → 1)"),
        ({}, lambda: {"model": toy(seed=5)[0]}, "the model's initial weights"),
        ({}, lambda: {"loss": Supervised("tokens")}, "loss.task (classification → tokens)"),
        (
            {"loss": MaskedLanguage(MASKING)},
            lambda: {"loss": MaskedLanguage(replace(MASKING, share=0.3))},
            "loss.masking.share (0.15 → 0.3)",
        ),
        (
            {"loss": distillation()},
            lambda: {"loss": distillation(teacher=toy(seed=4)[0])},
            "the teacher",
        ),
        ({"loss": distillation()}, lambda: {"loss": distillation(noise=0.5)}, "loss.noise (0.0 → 0.5)"),
        (
            {"loss": distillation()},
            lambda: {
                "loss": distillation(objectives=(SoftTargets(temperature=9.0), HiddenStates()))
            },
            "loss.objectives[0].temperature (1.0 → 9.0)",
        ),
        (
            {"loss": distillation()},
            lambda: {"loss": distillation(translate=ONE_EACH)},
            "loss.translation",
        ),
    ],
)  # fmt: skip
def test_what_differs_is_named(
    before: dict[str, Any], after: Callable[[], dict[str, Any]], said: str
) -> None:
    ours, theirs = identity(**before), identity(**{**before, **after()})
    assert differences(ours, theirs, _WORDS) == [said]
    with pytest.raises(ValueError, match="of another training, which differs in "):
        refuse_other(Path("c"), ours, theirs)
    refuse_other(Path("c"), ours, ours)


def test_another_loss_and_its_weights_are_named() -> None:
    loss = TwoTerms()
    before = identity(loss=loss)
    loss.bias.data += 1
    said = ["the initial weights of the objectives"]
    assert differences(before, identity(loss=loss), _WORDS) == said
    found = differences(identity(), identity(loss=distillation()), _WORDS)
    assert found[0] == "the loss (Supervised → Distillation)"
    with pytest.raises(
        ValueError, match=r"the loss \(Supervised → Distillation\).*, \d+ more; remove"
    ):
        refuse_other(Path("c"), identity(), identity(loss=distillation()))


def test_pooling_counts_where_vectors_are_taught() -> None:
    teacher, tokenizer = tiny_model("bert", head="embedding")
    task = Task(kind="embedding")
    ours = Distillation((Cosine(),), teacher, teacher, task).identity()
    describe_embedding(teacher, tokenizer, Embedding(pooling=Pooling(mode="cls")))
    theirs = Distillation((Cosine(),), teacher, teacher, task).identity()
    assert ours["teacher"] != theirs["teacher"]


def test_a_checkpoint_without_an_identity_is_refused() -> None:
    with pytest.raises(ValueError, match=r"does not say which training it is of.*begin anew"):
        refuse_other(Path("c"), None, identity())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": relabelled()}, "which differs in the labels of the training data; remove"),
        ({"setup": replace(FAST, epochs=2)}, r"which differs in setup.epochs \(3 → 2\); remove"),
        (
            {"seed": 9},
            r"which differs in seed \(0 → 9\); remove the folder to begin anew, or chang",
        ),
        ({"keep_best": False}, r"which differs in keep_best \(True → False\)"),
        ({"loss": TwoTerms()}, r"the loss \(Supervised → TwoTerms\)"),
    ],
)
def test_the_loop_refuses_another_training(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    for changed in ({}, change):
        model, encoded = toy()
        parts = {"model": model, "data": encoded, "loss": Supervised("classification")}
        parts |= {"setup": FAST, "folder": tmp_path / "c", **changed}
        if changed:
            before = {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()}
            with pytest.raises(ValueError, match=said):
                fit(**parts)
            assert {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()} == before
        else:
            fit(**parts)


def test_masking_has_the_fields_that_identities_name() -> None:
    assert set(MaskedLanguage(MASKING).identity()["masking"]) == set(asdict(MASKING))
