from pathlib import Path
from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import nn
from train.toy import FAST, toy

from leanformer.models.tiny import tiny_model
from leanformer.train.checkpoints import checkpoint
from leanformer.train.optimizers.interface import grouped


def test_what_is_saved_is_loaded_and_replaces_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint"
    checkpoint.save(place, {"old": {"a": torch.zeros(1)}}, {"step": 1})
    turned = torch.arange(6.0).reshape(2, 3).T
    groups = {"model": {"w": turned, "v": turned}, "empty": {}}
    checkpoint.save(place, groups, {"step": 2, "losses": [0.1, 1 / 3]})
    found = checkpoint.load(place)
    assert found is not None
    assert found[1] == {"step": 2, "losses": [0.1, 1 / 3]}
    assert sorted(found[0]) == ["empty", "model"]
    assert torch.equal(found[0]["model"]["w"], turned)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_failed_save_leaves_the_former_checkpoint(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", {"model": {"w": torch.ones(2)}}, {"step": 1})
    with pytest.raises(TypeError):
        checkpoint.save(tmp_path / "c", {"model": {"w": torch.zeros(2)}}, {"step": object()})
    found = checkpoint.load(tmp_path / "c")
    assert found is not None
    assert found[0]["model"]["w"].tolist() == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_there_may_be_none(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "absent") is None


def test_an_optimizer_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    def step(layer: nn.Linear, optimizer: torch.optim.Optimizer) -> None:
        layer(torch.arange(3.0)).pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.manual_seed(0)
    first = nn.Linear(3, 2)
    ours = torch.optim.AdamW(first.parameters(), lr=0.1, fused=True)
    step(first, ours)
    groups = {"w": checkpoint.weights(first), "o": checkpoint.optimizer_tensors(ours)}
    checkpoint.save(tmp_path / "c", groups, {})
    step(first, ours)
    found = checkpoint.load(tmp_path / "c")
    assert found is not None
    second = nn.Linear(3, 2)
    second.load_state_dict(found[0]["w"])
    theirs = torch.optim.AdamW(second.parameters(), lr=0.1, fused=True)
    checkpoint.restore_optimizer(theirs, found[0]["o"])
    step(second, theirs)
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_an_optimizer_knows_its_parameters_by_name() -> None:
    first, _ = toy()
    optimizer = FAST.optimizer.build(grouped([first]))
    first(input_ids=torch.tensor([[2, 5, 3]])).logits.sum().backward()
    optimizer.step()
    kept = checkpoint.optimizer_tensors(optimizer)
    assert "0.classifier.weight.exp_avg" in kept
    second, _ = toy()
    other = torch.optim.AdamW([(f"0.{n}", p) for n, p in [*second.named_parameters()][::-1]])
    checkpoint.restore_optimizer(other, kept)  # in another order
    for name, parameter in second.named_parameters():
        if f"0.{name}.exp_avg" in kept:
            assert torch.equal(other.state[parameter]["exp_avg"], kept[f"0.{name}.exp_avg"])


def test_a_state_of_another_optimizer_is_refused() -> None:
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.named_parameters())
    for key, tensor, message in (
        ("x.exp_avg", torch.ones(2, 3), "exp_avg of 'x', which is not trained here; remove"),
        ("weight.exp_avg", torch.ones(3, 2), r"'weight' in the shape \[3, 2\], and .* \[2, 3\]"),
    ):
        with pytest.raises(ValueError, match=message):
            checkpoint.restore_optimizer(optimizer, {key: tensor})
    assert not optimizer.state


def test_a_training_on_another_device_is_kept_and_goes_on(tmp_path: Path) -> None:
    device = shadow()
    ends = []
    for place in ("cpu", device):
        model, _ = tiny_model("bert", head="masked")
        model.set_attn_implementation("eager")
        ends.append(_interrupted(model.to(place), tmp_path / str(place)))
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name].cpu()) for name in ends[0])


def _interrupted(model: Any, folder: Path) -> dict[str, torch.Tensor]:
    """The weights after two steps, between which everything is read back from a checkpoint."""
    for number in range(2):
        optimizer = FAST.optimizer.build(grouped([model]))
        found = checkpoint.load(folder)
        if found is not None:
            checkpoint.load_weights(model, found[0]["model"], folder)
            checkpoint.restore_optimizer(optimizer, found[0]["optimizer"])
        model(input_ids=torch.tensor([[2, 5, 3]], device=model.device)).logits.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        tensors = checkpoint.optimizer_tensors(optimizer)
        groups = {"model": checkpoint.weights(model), "optimizer": tensors}
        checkpoint.save(folder, groups, {"step": number})
        for parameter in model.parameters():
            parameter.data.add_(1.0)  # what is read back must not be what was left
    checkpoint.load_weights(model, checkpoint.weights(model), folder)
    found = checkpoint.load(folder)
    assert found is not None
    return found[0]["model"] | found[0]["optimizer"]
