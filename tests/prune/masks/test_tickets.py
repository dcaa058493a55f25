from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from leanformer.prune.criteria.weights import WeightMagnitude
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.masks.tickets import Snapshot, Tickets, controlled, remove_smallest
from leanformer.prune.patterns import Unstructured


def masked() -> tuple[nn.Module, dict[str, MaskedLinear]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 4))
    layers = {name: MaskedLinear(model.get_submodule(name), Unstructured(), WeightMagnitude())
              for name in ("0", "2")}  # fmt: skip
    for name, layer in layers.items():
        model.set_submodule(name, layer)
    return model, layers


class Trainer:
    """Ten steps, each of which adds one to every weight that is left; notes what it was given."""

    def __init__(self, model: nn.Module, layers: dict[str, MaskedLinear]) -> None:
        self.model, self.layers = model, layers
        self.given: list[tuple[int, str, dict[str, Tensor]]] = []

    def __call__(self, number: int, way: str) -> float:
        begin = {name: (layer.weight * layer.kept).detach() for name, layer in self.layers.items()}
        self.given.append((number, way, begin))
        snapshot: Any = self.model.get_submodule("snapshot")
        snapshot.update(0 if number == 0 else 2, 10)
        for step in range(1 if number == 0 else 3, 11):
            with torch.no_grad():
                for layer in self.layers.values():
                    layer.weight.add_(1)
            snapshot.update(step, 10)
        return float(len(self.given))


def test_each_round_begins_at_the_early_step_and_the_last_ticket_is_left(tmp_path: Path) -> None:
    model, layers = masked()
    train = Trainer(model, layers)
    first = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    search = Tickets(rounds=2, prune_fraction=0.5, rewind=0.2, controls=("signs",))
    assert search.search(model, layers, tmp_path / "early", train, seed=0) == (1.0, 4.0)
    ways = [(number, way) for number, way, _ in train.given]
    assert ways == [(0, "dense"), (1, "ticket"), (1, "signs"), (2, "ticket"), (2, "signs")]
    for name, layer in layers.items():
        early = first[name] + 2
        torch.testing.assert_close(train.given[3][2][name], early * layer.kept)
        torch.testing.assert_close(layer.weight, (early + 8) * layer.kept)
    left = sum(int(layer.kept.sum()) for layer in layers.values())
    assert left == round(0.25 * 100)
    assert not any(isinstance(module, Snapshot) for module in model.modules())


def test_the_smallest_of_what_is_left_goes() -> None:
    _, layers = masked()
    with torch.no_grad():
        layers["0"].weight.copy_(torch.arange(60.0).view(10, 6) - 30)
        layers["2"].weight.fill_(100)
    remove_smallest(layers, 0.2)
    before = layers["0"].kept.clone()
    assert not layers["0"].kept[layers["0"].weight.abs() < 10].any()
    assert layers["2"].kept.all()
    with torch.no_grad():
        layers["0"].weight.mul_(before)
    remove_smallest(layers, 0.4)
    assert not (layers["0"].kept & ~before).any()
    assert int(layers["0"].kept.sum() + layers["2"].kept.sum()) == 60


@pytest.mark.parametrize("control", ["random-weights", "random-mask", "signs"])
def test_a_control_changes_what_its_name_says_and_nothing_else(control: Any) -> None:
    torch.manual_seed(0)
    weights = {"a.weight": torch.randn(20, 10), "a.bias": torch.randn(20)}
    masks = {"a": torch.rand(20, 10) > 0.7}
    other, kept = controlled(control, weights, masks, seed=1)
    assert kept["a"].sum() == masks["a"].sum()
    assert torch.equal(kept["a"], masks["a"]) == (control != "random-mask")
    assert torch.equal(other["a.bias"], weights["a.bias"])
    assert torch.equal(other["a.weight"], weights["a.weight"]) == (control == "random-mask")
    if control != "random-mask":
        assert other["a.weight"].std() == pytest.approx(float(weights["a.weight"].std()), rel=0.1)
    if control == "signs":
        assert torch.equal(other["a.weight"].sign(), weights["a.weight"].sign())
        assert other["a.weight"].abs().unique().numel() == 1
