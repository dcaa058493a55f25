import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import nn

from leanformer.core.machine.device import (
    device_of,
    devices_here,
    find_device,
    inputs_on,
    move,
    on_cpu,
)
from leanformer.models.tiny import tiny_model


def have(monkeypatch: pytest.MonkeyPatch, name: str | None, count: int = 1) -> None:
    """Let the machine have `count` accelerators of this name, and no other."""
    found = None if name is None else torch.device(name)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: found)
    there = SimpleNamespace(is_available=lambda: True, device_count=lambda: count)
    none = SimpleNamespace(is_available=lambda: False, device_count=lambda: 0)
    monkeypatch.setattr(
        torch, "get_device_module", lambda d: there if d.type in (name, "cpu") else none
    )


def test_auto_is_the_accelerator_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, None)
    assert find_device("auto") == find_device("cpu") == torch.device("cpu")
    assert devices_here() == ["cpu"]
    have(monkeypatch, "cuda", 2)
    assert find_device("auto") == torch.device("cuda")
    assert find_device("cuda:1") == torch.device("cuda:1")
    assert find_device("cpu") == torch.device("cpu")
    assert devices_here() == ["cpu", "cuda:0", "cuda:1"]
    have(monkeypatch, "mps")
    assert find_device("mps") == torch.device("mps")


@pytest.mark.parametrize("name", ["cuda", "meta", "gpu", "", "cpu:3", "cuda:x"])
def test_a_device_that_is_not_here_is_refused_with_what_is(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device: '{name}' is not on .* has cpu; name one of"):
        find_device(name)


def test_a_number_that_is_too_high_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, "cuda", 2)
    with pytest.raises(ValueError, match=r"'cuda:2' is not .* has cpu and cuda:0 and cuda:1;"):
        find_device("cuda:2")


def test_a_backend_of_its_own_is_found_by_its_name_and_never_by_auto() -> None:
    device = shadow()
    assert find_device("shadow:0") == device
    assert find_device("auto").type != "shadow"
    with pytest.raises(ValueError, match="'shadow:1' is not on this machine"):
        find_device("shadow:1")


def test_a_model_is_where_its_weights_are() -> None:
    model = nn.Linear(2, 2)
    assert device_of(model) == device_of(nn.ReLU()) == torch.device("cpu")
    buffered = nn.Module()
    buffered.register_buffer("table", torch.ones(2, device="meta"))
    assert device_of(buffered) == torch.device("meta")
    assert device_of(model.to(shadow())) == shadow()


def test_a_model_on_the_cpu_is_not_copied() -> None:
    model = nn.Linear(2, 2)
    assert on_cpu(model) is model


def test_a_copy_on_the_cpu_is_the_same_model_and_leaves_the_other_where_it_is() -> None:
    model, tokenizer = tiny_model("bert", head="masked")
    inputs = tokenizer(["music in the mountains"], return_tensors="pt")
    expected = model(**inputs).logits
    model.get_input_embeddings().weight.requires_grad_(False)
    model.to(shadow())
    copied = on_cpu(model)
    assert {device_of(copied).type, device_of(model).type} == {"cpu", "shadow"}
    assert all(buffer.device.type == "cpu" for buffer in copied.buffers())
    assert torch.equal(copied(**inputs).logits, expected)
    assert copied.get_input_embeddings().weight is copied.get_output_embeddings().weight
    asked = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert {name: p.requires_grad for name, p in copied.named_parameters()} == asked
    assert set(asked.values()) == {True, False}


def test_naming_devices_does_not_load_torch() -> None:
    code = "import sys, leanformer.core.machine.device; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Stand:
    """Stands in for a tensor: what it is asked for is noted."""

    def __init__(self, device: str, asked: list[Any]) -> None:
        self.device, self.asked = torch.device(device), asked

    def pin_memory(self) -> "Stand":
        self.asked.append("pinned")
        return self

    def to(self, device: torch.device, **how: Any) -> "Stand":
        self.asked.append((str(device), how))
        return Stand(str(device), self.asked)


@pytest.mark.parametrize(
    ("here", "there", "asked"),
    [
        ("cpu", "cuda:0", ["pinned", ("cuda:0", {"non_blocking": True})]),
        ("cuda:1", "cuda:0", [("cuda:0", {})]),
        ("cuda:0", "cuda:0", []),
        ("cpu", "mps", [("mps", {})]),
        ("cuda:0", "cpu", [("cpu", {})]),
    ],
)
def test_what_goes_to_cuda_is_copied_from_pinned_memory(
    here: str, there: str, asked: list[Any]
) -> None:
    seen: list[Any] = []
    tensor: Any = Stand(here, seen)
    assert move(tensor, torch.device(there)).device == torch.device(there)
    assert seen == asked


def test_inputs_of_a_model_are_moved_by_name() -> None:
    given = {"input_ids": torch.tensor([[1, 2]]), "attention_mask": torch.tensor([[1, 1]])}
    found = inputs_on(shadow(), given)
    assert {name: tensor.device for name, tensor in found.items()} == dict.fromkeys(given, shadow())
    assert found["input_ids"].cpu().tolist() == [[1, 2]]
    assert inputs_on(torch.device("cpu"), given)["input_ids"] is given["input_ids"]
