"""The trainings of the families on two ranks: what they change in a model is what one process
changes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from quantize.test_quantize_aware import workspace_of
from torch import Tensor, nn
from train.execution import layout_cases as cases

from leanformer.attention.attend import Attend
from leanformer.attention.mechanisms import Routing
from leanformer.core.workspace import Workspace
from leanformer.distill.objectives import HiddenStates, SoftTargets
from leanformer.distill.step import Distill
from leanformer.models.tiny import tiny_model
from leanformer.prune.criteria.weights import Movement, SoftMovement, WeightMagnitude
from leanformer.prune.sparsify import Sparsify
from leanformer.quantize.activations import Dynamic, MovingAverage
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import TernaryLossAware, Uniform
from leanformer.train.loop import fit
from leanformer.train.parallel import Parallel
from leanformer.train.steps.finetune import Finetune
from leanformer.train.testing import on_ranks

LAYOUTS = [Parallel(data=2), Parallel(data=2, zero=2), Parallel(data=2, zero=3)]
SETUP = replace(cases.SETUP, steps=4, batch_size=7, max_tokens_per_microbatch=1000, evaluations=1)


def steps(kind: str, parallel: Parallel) -> list[Any]:
    train: dict[str, Any] = {
        "train": replace(SETUP, parallel=parallel),
        "max_length": 32,
        "load_best_at_end": False,
        "require_improvement": False,
    }
    finetune = Finetune(**train, dropout=False)
    if kind == "distill":
        return [Distill(**train, objectives=(SoftTargets(), HiddenStates()))]
    if kind == "moving-average":
        return [QuantizeAware(weights=Uniform(), activations=MovingAverage(decay=0.9)), finetune]
    if kind == "dynamic":
        return [QuantizeAware(weights=Uniform(), activations=Dynamic()), finetune]
    if kind == "loss-aware":
        return [QuantizeAware(weights=TernaryLossAware()), finetune]
    if kind == "routing":
        return [Attend(mechanism=Routing(clusters=2, decay=0.5)), finetune]
    criterion: Any = {
        "magnitude": WeightMagnitude(),
        "movement": Movement(),
        "soft-movement": SoftMovement(),
    }[kind]
    return [Sparsify(by=finetune, sparsity=0.5, criterion=criterion, every=1)]


def applied(kind: str, parallel: Parallel, folder: Path) -> dict[str, Tensor]:
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else "one"
    workspace: Workspace = workspace_of(folder / f"{kind}-{parallel.data}-{parallel.zero}-{rank}")
    teacher, _ = tiny_model("bert", num_labels=2, seed=1, hidden_size=24)
    workspace = workspace.with_(model=workspace.model.double(), teacher=teacher.double())
    if kind == "distill":  # projections that an objective makes
        torch.set_default_dtype(torch.float64)
    try:
        for step in steps(kind, parallel):
            workspace = step.apply(workspace)
    finally:
        torch.set_default_dtype(torch.float32)
    return dict(workspace.model.state_dict())


def _applied(kind: str, folder: Path) -> list[dict[str, Tensor]]:
    return [applied(kind, layout, folder) for layout in LAYOUTS]


@pytest.mark.parametrize(
    "kind",
    [
        "distill",
        "moving-average",
        pytest.param("dynamic", marks=pytest.mark.thorough),
        pytest.param("loss-aware", marks=pytest.mark.thorough),
        pytest.param("magnitude", marks=pytest.mark.thorough),
        "movement",
        pytest.param("soft-movement", marks=pytest.mark.thorough),
        "routing",
    ],
)
def test_two_ranks_give_what_one_process_gives(tmp_path: Path, kind: str) -> None:
    expected = applied(kind, Parallel(), tmp_path)
    for ranks in on_ranks(2, _applied, kind, tmp_path, seconds=120):
        for layout, found in zip(LAYOUTS, ranks, strict=True):
            assert found.keys() == expected.keys()
            for name, tensor in expected.items():
                message = f"{layout} {name}"
                torch.testing.assert_close(
                    found[name],
                    tensor,
                    rtol=1e-6,
                    atol=1e-6,
                    msg=lambda m, at=message: f"{at}: {m}",
                )


class Counting(nn.Module):
    """Keeps a sum over the rows that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += x.detach().sum()
        return x


def _counting(zero: Any) -> str:
    made = cases.classification()
    model: Any = made.model
    model.classifier = nn.Sequential(Counting(), model.classifier)
    with pytest.raises(ValueError) as raised:
        fit(model, made.data, made.loss, replace(made.setup, parallel=Parallel(zero=zero)))
    return str(raised.value)


def test_a_module_that_sees_its_own_rows_alone_is_refused_by_name() -> None:
    for zero in (0, 3):
        for said in on_ranks(2, _counting, zero):
            assert "buffers of classifier.0 became others on rank 1" in said
