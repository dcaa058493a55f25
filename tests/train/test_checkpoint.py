from pathlib import Path

import pytest
import torch
from torch import nn

from leanformer.models.tiny import tiny_model
from leanformer.train import checkpoint


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


@pytest.mark.parametrize("name", ["state.json", "model.safetensors"])
def test_a_broken_checkpoint_is_refused(tmp_path: Path, name: str) -> None:
    checkpoint.save(tmp_path, {"model": {"w": torch.ones(2)}}, {"step": 1})
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(ValueError, match=r"broken checkpoint .*; remove the folder to begin anew"):
        checkpoint.load(tmp_path)


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


def test_tied_weights_are_kept_once() -> None:
    model, _ = tiny_model("bert", head="masked")
    names = checkpoint.weights(model)
    state = model.state_dict()
    assert len(names) < len(state)
    assert {tensor.data_ptr() for tensor in state.values()} == {
        tensor.data_ptr() for tensor in names.values()
    }
