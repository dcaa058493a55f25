from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from train.memory.languages import language_batch, language_model, step

from leanformer.data import Batch
from leanformer.train import Supervised
from leanformer.train.memory import CheckpointActivations, OffloadActivations
from leanformer.train.memory.disk_memory import DiskMemory
from leanformer.train.memory.offload_activations import Held, Offload, _Disk, _Host


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, slope in expected.items():
        assert torch.equal(found[name].cpu(), slope.cpu()), name


def on(device: torch.device, family: str) -> tuple[Any, Supervised, Batch]:
    model, kind = language_model(family)
    batch = language_batch(model.config.vocab_size)
    assert batch.labels is not None
    inputs = {name: tensor.to(device) for name, tensor in batch.inputs.items()}
    return model.to(device), Supervised(kind), Batch(inputs, batch.labels.to(device), batch.index)


@pytest.mark.parametrize(
    ("family", "place"), [("bert", "cpu"), ("gpt2", "cpu"), ("llama", "cpu"), ("gpt2", "shadow")]
)
def test_gradients_are_equal_to_the_last_bit_with_dropout(family: str, place: str) -> None:
    device = shadow() if place == "shadow" else torch.device("cpu")
    model, loss, batch = on(device, family)
    value, slopes = step(model, loss, batch)
    saver = OffloadActivations(min_bytes=64, to="host" if place == "shadow" else "disk")
    with saver.apply(model, loss):
        for _ in range(2):
            found, ours = step(model, loss, batch)
            assert torch.equal(found.cpu(), value.cpu())
            equal(ours, slopes)


def kept(model: nn.Module, loss: Supervised, batch: Batch, offload: Offload) -> tuple[int, int]:
    """Bytes that stay on the device and that are elsewhere, without the parameters."""
    stays: dict[int, int] = {}
    own = {p.untyped_storage()._cdata for p in model.parameters()}

    def pack(tensor: Tensor) -> Any:
        packed = offload.pack(tensor)
        if packed is tensor and tensor.untyped_storage()._cdata not in own:
            stays[id(packed)] = tensor.numel() * tensor.element_size()
        return packed

    with saved_tensors_hooks(pack, offload.unpack):
        loss.mean(model, batch).backward()
    return sum(stays.values()), offload.bytes


def test_little_stays_and_parameters_do_not_move() -> None:
    device = torch.device("cpu")
    model, loss, batch = on(device, "bert")
    offload = Offload(device, _Disk(device), 256)
    stays, away = kept(model, loss, batch, offload)
    assert away > 50 * stays
    own = {tuple(p.shape) for p in model.parameters()}
    for held in (Offload(device, _Disk(device), 1).pack(p) for p in model.parameters()):
        assert not isinstance(held, Held), own


def test_each_tensor_moves_once_and_casts_of_parameters_stay() -> None:
    device = torch.device("cpu")
    moved: list[Tensor] = []

    class Noted(_Disk):
        def put(self, tensor: Tensor) -> Any:
            moved.append(tensor)
            return super().put(tensor)

    offload = Offload(device, Noted(device), 1)
    query, key = nn.Linear(8, 4), nn.Linear(8, 4)
    with saved_tensors_hooks(offload.pack, offload.unpack), torch.autocast("cpu", torch.bfloat16):
        x = torch.randn(3, 8).bfloat16() * 1
        y = query(x) + key(x)
    assert len(moved) == 1
    assert torch.equal(moved[0], x)
    y.sum().backward()


def test_small_and_overlapping_tensors_and_those_of_other_devices_stay() -> None:
    device = torch.device("cpu")
    offload = Offload(device, _Disk(device), 64)
    for tensor in (
        torch.ones(15),
        torch.ones(1, 16).expand(4, 16),
        torch.ones(8, 8)[:, ::2],
        torch.ones(64, device=shadow()),
        torch.ones(16).to_sparse(),
    ):
        assert offload.pack(tensor) is tensor
    assert isinstance(offload.pack(torch.ones(4, 4).t()), Held)


def test_a_changed_tensor_and_new_memory_are_other_tensors() -> None:
    device = torch.device("cpu")
    offload = Offload(device, _Disk(device), 1)
    x = torch.ones(16)
    first, again = offload.pack(x), offload.pack(x)
    assert first is again
    x += 1
    second = offload.pack(x)
    assert offload.unpack(first).eq(1).all()
    assert offload.unpack(second).eq(2).all()
    for number in range(20):  # an address that is free is soon used again
        held = offload.pack(torch.full((16,), float(number)))
        assert offload.unpack(held).eq(number).all()


def test_what_is_needed_next_is_fetched_ahead() -> None:
    device = shadow()
    fetched: list[float] = []

    class Noted(_Host):
        def get(self, there: Tensor) -> Any:
            fetched.append(float(there[0]))
            return super().get(there)

    offload = Offload(device, Noted(device), 1)
    tensors = [torch.full((16,), float(number)).to(device) for number in range(8)]
    held = [offload.pack(tensor) for tensor in tensors]
    assert offload.unpack(held[7]).cpu().eq(7).all()
    assert sorted(fetched) == [3, 4, 5, 6, 7]
    assert offload.unpack(held[6]).cpu().eq(6).all()
    assert sorted(fetched) == [2, 3, 4, 5, 6, 7]


def test_of_checkpointed_layers_the_inputs_move() -> None:
    model, loss, batch = on(torch.device("cpu"), "bert")
    _, slopes = step(model, loss, batch)
    written: list[int] = []
    real = DiskMemory.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiskMemory, "write", lambda m, t: written.append(t.numel()) or real(m, t))
        with (
            OffloadActivations(to="disk", min_bytes=3 * 12 * 32 * 8).apply(model, loss),
            CheckpointActivations().apply(model, loss),
        ):
            _, ours = step(model, loss, batch)
    equal(ours, slopes)
    assert written.count(3 * 12 * 32) >= 3


def test_a_model_on_the_cpu_gains_nothing_from_the_host() -> None:
    model, loss, _ = on(torch.device("cpu"), "bert")
    with (
        pytest.raises(ValueError, match="the model is on the CPU, whose memory is the host's"),
        OffloadActivations().apply(model, loss),
    ):
        raise AssertionError
