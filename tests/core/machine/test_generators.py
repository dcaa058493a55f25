from typing import Any

import pytest
import torch
from torch import Tensor

from leanformer.core.machine.generators import (
    generator_states,
    kept_generators,
    set_generator_states,
)

CPU = torch.device("cpu")


def test_a_state_draws_again_what_it_drew() -> None:
    states = generator_states(CPU)
    assert list(states) == ["cpu"]
    drawn = torch.rand(5)
    set_generator_states(CPU, states)
    assert torch.equal(torch.rand(5), drawn)


def test_what_is_drawn_within_does_not_change_what_follows() -> None:
    torch.manual_seed(0)
    drawn = torch.rand(5)
    torch.manual_seed(0)
    with pytest.raises(KeyboardInterrupt), kept_generators(CPU):
        torch.rand(9)
        raise KeyboardInterrupt
    assert torch.equal(torch.rand(5), drawn)


class Backend:
    """Stands in for `torch.cuda` or `torch.mps`."""

    def __init__(self) -> None:
        self.state, self.asked = torch.zeros(3, dtype=torch.uint8), []  # type: ignore[var-annotated]

    def get_rng_state(self, *device: Any) -> Tensor:
        self.asked.append(device)
        return self.state.clone()

    def set_rng_state(self, state: Tensor, *device: Any) -> None:
        self.asked.append(device)
        self.state = state


@pytest.mark.parametrize(("name", "arguments"), [("cuda", ("cuda:1",)), ("mps", ())])
def test_the_generator_of_the_device_is_kept_too(
    name: str, arguments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Backend()
    monkeypatch.setattr(torch, "get_device_module", lambda device: backend)
    device = torch.device(name, 1) if name == "cuda" else torch.device(name)
    with kept_generators(device):
        backend.state = torch.ones(3, dtype=torch.uint8)
    assert backend.state.tolist() == [0, 0, 0]
    assert backend.asked == [tuple(torch.device(one) for one in arguments)] * 2
    set_generator_states(device, generator_states(CPU))  # of a training on a CPU: left as it is
    assert backend.state.tolist() == [0, 0, 0]
