from typing import Any

import pytest
import torch
from quantize.test_quantize_aware import workspace_of
from torch import Tensor, nn
from train.toy import FAST

from leanformer.core.codec import decode, encode
from leanformer.core.proof import NoEffect
from leanformer.core.record import read
from leanformer.core.step import Step
from leanformer.prune import lottery
from leanformer.prune.lottery import Lottery
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.masks.tickets import Snapshot
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import Uniform
from leanformer.train.steps.finetune import Finetune

FINETUNE = Finetune(train=FAST, max_length=32)  # 12 steps
STEP = Lottery(by=FINETUNE, rounds=2, prune_fraction=0.5, rewind=0.25)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, Tensor], dict[str, Tensor]]]:
    """At each step of each training: its number, the weights and the masks of the layers."""
    found: list[Any] = []
    update = Snapshot.update

    def noted(self: Any, step: int, steps: int) -> None:
        update(self, step, steps)
        weights = {name: layer.weight.detach().clone() for name, layer in self.layers.items()}
        masks = {name: layer.kept.clone() for name, layer in self.layers.items()}
        found.append((step, weights, masks))

    monkeypatch.setattr(Snapshot, "update", noted)
    return found


def trainings(seen: list[Any]) -> list[list[Any]]:
    ends = [index + 1 for index, (step, *_) in enumerate(seen) if step == 12]
    return [seen[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def test_tickets_are_nested_and_begin_with_the_very_weights_of_the_early_step(
    tmp_path: Any, seen: list[Any]
) -> None:
    done = STEP.apply(workspace_of(tmp_path))
    dense, *tickets = trainings(seen)
    assert [step for step, *_ in dense] == list(range(13))
    assert len(tickets) == 2
    early = dense[3][1]
    before = {name: torch.ones_like(mask) for name, mask in dense[0][2].items()}
    for number, ticket in enumerate(tickets, 1):
        assert [step for step, *_ in ticket] == list(range(3, 13))
        _, weights, masks = ticket[0]
        for name, mask in masks.items():
            assert torch.equal(weights[name], early[name] * mask)
            assert not (mask & ~before[name]).any()
            assert (ticket[-1][1][name][~mask] == 0).all()
        total = sum(mask.numel() for mask in masks.values())
        assert sum(int(mask.sum()) for mask in masks.values()) == round(0.5**number * total)
        before = masks
    largest = {name: weight.abs() for name, weight in dense[-1][1].items()}
    masks = tickets[0][0][2]
    kept = torch.cat([largest[name][mask] for name, mask in masks.items()])
    gone = torch.cat([largest[name][~mask] for name, mask in masks.items()])
    assert kept.sort().values[len(masks)] >= gone.max()  # each matrix keeps its largest in any case
    assert not any(isinstance(m, MaskedLinear | Snapshot) for m in done.model.modules())


def test_the_first_ticket_of_all_begins_at_the_beginning(tmp_path: Any, seen: list[Any]) -> None:
    workspace = workspace_of(tmp_path)
    begin = {n: p.detach().clone() for n, p in workspace.model.named_parameters()}
    Lottery(by=FINETUNE, rounds=1, rewind=0.0).apply(workspace)
    starts = [(weights, masks) for step, weights, masks in seen if step == 0]
    assert len(starts) == 2
    for name, weight in starts[1][0].items():
        assert torch.equal(weight, begin[f"{name}.weight"] * starts[1][1][name])


def test_with_the_rate_alone_put_back_weights_stay_as_they_were_trained(
    tmp_path: Any, seen: list[Any]
) -> None:
    Lottery(by=FINETUNE, rounds=1, rewind=0.25, restart="rate").apply(workspace_of(tmp_path))
    dense, ticket = trainings(seen)
    for name, weight in ticket[0][1].items():
        assert torch.equal(weight, dense[-1][1][name] * ticket[0][2][name])


def test_controls_are_trained_beside_and_recorded(tmp_path: Any) -> None:
    workspace = workspace_of(tmp_path)
    controls = ("random-weights", "random-mask", "signs")
    step = Lottery(by=FINETUNE, rounds=1, prune_fraction=0.5, controls=controls)
    done = step.apply(workspace)
    events = [e for e in read(workspace.record.path) if e["event"] == "ticket"]
    assert [e["way"] for e in events] == ["dense", "ticket", *controls]
    assert [e["kept"] for e in events] == [1, *[pytest.approx(0.5, abs=1e-3)] * 4]
    quality, zeros = done.proofs
    assert quality.after == events[1]["quality"]  # the ticket is what is left, not a control
    assert zeros.ok


def test_a_killed_search_goes_on_and_ends_the_same(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Lottery(by=FINETUNE, rounds=2, controls=("random-mask",))
    whole = step.apply(workspace_of(tmp_path / "whole")).model.state_dict()
    count = []
    update = Snapshot.update

    def killed(self: Any, step: int, steps: int) -> None:
        count.append(step)
        if len(count) == 30:
            raise KeyboardInterrupt
        update(self, step, steps)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Snapshot, "update", killed)
        step.apply(workspace_of(tmp_path / "cut"))
    again = step.apply(workspace_of(tmp_path / "cut")).model.state_dict()
    for name, tensor in whole.items():
        torch.testing.assert_close(again[name], tensor, msg=name)
    other = Lottery(by=FINETUNE, rounds=3, controls=("random-mask",))
    with pytest.raises(ValueError, match="holds a lottery with other settings; remove"):
        other.apply(workspace_of(tmp_path / "cut"))


def test_it_is_written_in_a_recipe_and_back() -> None:
    assert decode(Step, encode(STEP)) == STEP


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 0}, "rounds: 0 is not at least 1"),
        ({"prune_fraction": 1.0}, "prune_fraction: 1.0 is not above 0 and below 1"),
        ({"rewind": 1.0}, "rewind: 1.0 is not at least 0 and below 1"),
        ({"by": QuantizeAware()}, "does not train; use distill or finetune"),
    ],
)
def test_what_cannot_be_done_is_refused_when_it_is_named(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Lottery(**{"by": FINETUNE, **settings})


def test_models_of_other_layers_or_that_round_are_refused(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=r"lottery: .*c_attn is not an nn\.Linear; use sparse-gpt"):
        STEP.apply(workspace_of(tmp_path, "gpt2"))
    workspace = workspace_of(tmp_path)
    QuantizeAware(weights=Uniform()).apply(workspace)
    with pytest.raises(ValueError, match="round"):
        STEP.apply(workspace)


def test_a_ticket_that_is_not_sparse_is_noticed(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dense(self: MaskedLinear) -> nn.Linear:
        return nn.Linear(self.in_features, self.out_features)

    monkeypatch.setattr(lottery.MaskedLinear, "as_linear", dense)
    with pytest.raises(NoEffect, match="weights of the layers that are not zero"):
        STEP.apply(workspace_of(tmp_path))
