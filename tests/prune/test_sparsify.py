from dataclasses import replace
from typing import Any

import pytest
import torch
from quantize.test_quantize_aware import workspace_of
from torch import nn
from train.toy import FAST

from leanformer.core.codec import decode, encode
from leanformer.core.proof import NoEffect
from leanformer.core.record import read
from leanformer.core.step import Step
from leanformer.distill.objectives import HiddenStates, SoftTargets
from leanformer.distill.step import Distill
from leanformer.models.tiny import tiny_model
from leanformer.prune.criteria.weights import (
    BrainDamage,
    BrainSurgeon,
    HardConcrete,
    Movement,
    SoftMovement,
    WeightMagnitude,
    WeightTaylor,
)
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.masks.masks import Masks
from leanformer.prune.patterns import Blocks, Hybrid, NOfM
from leanformer.prune.schedules import Cubic, OneShot, Rounds
from leanformer.prune.sparsify import Sparsify
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import Uniform
from leanformer.train.steps.finetune import Finetune

FINETUNE = Finetune(train=FAST, max_length=32)
LAYER = "bert.encoder.layer.1.output.dense"


def sparse(model: Any) -> dict[str, float]:
    return {
        name: module.weight.count_nonzero().item() / module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and "layer." in name
    }


@pytest.mark.parametrize(
    ("criterion", "schedule"),
    [
        (WeightMagnitude(), OneShot()),
        (WeightMagnitude(), Rounds(rounds=2)),
        (WeightTaylor(), Cubic()),
        (BrainDamage(), OneShot(at=0.3)),
        (BrainSurgeon(block_size=8), Rounds(rounds=2)),
        (Movement(rate=10), Cubic()),
    ],
    ids=repr,
)
def test_as_many_weights_are_zero_as_asked(tmp_path: Any, criterion: Any, schedule: Any) -> None:
    workspace = workspace_of(tmp_path)
    step = Sparsify(by=FINETUNE, sparsity=0.8, criterion=criterion, schedule=schedule, every=1)
    done = step.apply(workspace)
    shares = sparse(done.model)
    assert len(shares) == 18
    assert all(share == pytest.approx(0.2, abs=0.001) for share in shares.values())
    assert not any(isinstance(module, MaskedLinear | Masks) for module in done.model.modules())
    assert done.model.state_dict().keys() == tiny_model("bert", num_labels=2)[0].state_dict().keys()
    (event,) = [e for e in read(workspace.record.path) if e["event"] == "sparsity_by_layer"]
    assert {row["layer"]: row["kept"] for row in event["rows"]} == shares
    assert event["rows"][0]["weights"] > 0


@pytest.mark.parametrize(
    "criterion",
    [
        SoftMovement(penalty_weight=20, rate=100, threshold=0.45),
        HardConcrete(penalty_weight=5000, rate=1000),
    ],
    ids=repr,
)
def test_a_sparsity_that_training_finds_is_reported(tmp_path: Any, criterion: Any) -> None:
    workspace = workspace_of(tmp_path)
    done = Sparsify(by=FINETUNE, criterion=criterion, schedule=Cubic(cool=0.1)).apply(workspace)
    (proof,) = [p for p in done.proofs if "not zero" in p.claim]
    assert proof.asked is None
    assert proof.after < proof.before
    assert "18 matrices" in proof.note


def test_a_teacher_teaches_meanwhile_and_patterns_hold(tmp_path: Any) -> None:
    workspace = workspace_of(tmp_path)
    teacher, _ = tiny_model("bert", num_labels=2, seed=1)
    workspace = replace(workspace, teacher=teacher)
    by = Distill(objectives=(SoftTargets(), HiddenStates()), train=FAST, max_length=32)
    step = Sparsify(by=by, sparsity=0.5, pattern=NOfM(), keep_dense=(LAYER,))
    done = step.apply(workspace)
    shares = sparse(done.model)
    assert shares.pop(LAYER) == 1
    assert set(shares.values()) == {0.5}
    weight = done.model.get_submodule(LAYER.replace("1", "0")).weight
    assert (weight.reshape(-1, 4).count_nonzero(dim=1) == 2).all()


def test_what_is_resumed_ends_with_the_same_masks(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Sparsify(by=FINETUNE, sparsity=0.7, criterion=Movement(rate=10), every=2)
    whole = step.apply(workspace_of(tmp_path / "whole")).model.state_dict()
    update = Masks.update

    def killed(self: Any, step: int, steps: int) -> None:
        if step == 7:
            raise KeyboardInterrupt
        update(self, step, steps)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Masks, "update", killed)
        step.apply(workspace_of(tmp_path / "cut"))
    again = step.apply(workspace_of(tmp_path / "cut")).model.state_dict()
    for name, tensor in whole.items():
        torch.testing.assert_close(again[name], tensor, msg=name)


def test_it_is_written_in_a_recipe_and_back() -> None:
    step = Sparsify(
        by=FINETUNE, sparsity=0.9, criterion=Movement(), pattern=Blocks(rows=4, columns=4)
    )
    assert decode(Step, encode(step)) == step


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparsity": 1.0}, "sparsity: 1.0 is not at least 0 and below 1"),
        ({"sparsity": 0.6, "pattern": NOfM()}, "sparsity: 0.6 is more than 0.5, the most that"),
        ({"every": 0}, "every: 0 is not at least 1"),
        ({"criterion": WeightTaylor(), "schedule": OneShot()}, "there are none before the first"),
        ({"by": QuantizeAware()}, "does not train; use distill or finetune"),
    ],
)
def test_what_cannot_be_done_is_refused_when_it_is_named(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Sparsify(**{"by": FINETUNE, **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_dense": ("nowhere",)}, "keep_dense: no layer is named nowhere"),
        ({"pattern": Hybrid(block_size=8), "scope": "global"}, "scope: units of .* differ in size"),
        ({"pattern": Blocks(rows=5)}, r"query: rows: .* do not tile .*; or name it in keep_dense"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_before_it_is_changed(
    tmp_path: Any, settings: dict[str, Any], message: str
) -> None:
    workspace = workspace_of(tmp_path)
    with pytest.raises(ValueError, match=message):
        Sparsify(by=FINETUNE, **settings).apply(workspace)
    assert not any(isinstance(module, MaskedLinear | Masks) for module in workspace.model.modules())


def test_gradients_that_are_gathered_may_not_be_scaled() -> None:
    half = replace(FINETUNE, train=replace(FAST, precision="fp16"))
    with pytest.raises(ValueError, match="fp16 scales the gradients"):
        Sparsify(by=half, criterion=WeightTaylor())
    assert Sparsify(by=half).by is half


def test_a_model_of_other_layers_or_one_that_rounds_is_refused(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="is built of other layers"):
        Sparsify(by=FINETUNE).apply(workspace_of(tmp_path, "gpt2"))
    workspace = workspace_of(tmp_path)
    QuantizeAware(weights=Uniform()).apply(workspace)
    with pytest.raises(ValueError, match="round"):
        Sparsify(by=FINETUNE).apply(workspace)


def test_zeros_that_are_not_there_are_noticed(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Masks, "update", lambda self, step, steps: None)
    with pytest.raises(NoEffect, match="weights of the layers that are not zero"):
        Sparsify(by=FINETUNE, sparsity=0.8).apply(workspace_of(tmp_path))
