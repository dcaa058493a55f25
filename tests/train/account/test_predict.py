from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from train.memory.languages import language_batch
from train.toy import FAST

from leanformer.models.tiny import tiny_model
from leanformer.train import Supervised, TrainSetup
from leanformer.train.account import Account, measure_memory, predict_memory
from leanformer.train.account.predict import _share
from leanformer.train.memory import (
    CheckpointActivations,
    ChunkedCrossEntropy,
    OffloadActivations,
    OffloadOptimizer,
)
from leanformer.train.optimizers import AdamW, Sgd
from leanformer.train.parallel import Parallel

SAVERS: dict[str, tuple[Any, ...]] = {
    "plain": (),
    "checkpoint": (CheckpointActivations(),),
    "half": (CheckpointActivations(every=2),),
    "targets": (ChunkedCrossEntropy(tokens=0),),
    "chunks": (ChunkedCrossEntropy(tokens=8), CheckpointActivations()),
}


def accounts(family: str, setup: TrainSetup, **settings: Any) -> tuple[Account, Account]:
    head = "masked" if family == "bert" else "causal"
    model, _ = tiny_model(family, head=head, use_cache=False, **settings)
    loss = Supervised("masked-lm" if head == "masked" else "causal-lm")
    batch = language_batch(model.config.vocab_size, rows=8, length=24)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predicted = predict_memory(model, loss, batch, setup)
    measured = measure_memory(model, loss, batch, setup)
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())
    return predicted, measured


@pytest.mark.parametrize("savers", list(SAVERS))
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_what_is_predicted_is_measured(family: str, savers: str) -> None:
    predicted, measured = accounts(family, replace(FAST, memory=SAVERS[savers]))
    for name in ("weights", "gradients", "optimizer"):
        assert getattr(predicted, name) == getattr(measured, name), name
    assert predicted.activations == pytest.approx(measured.activations, rel=0.01)
    assert measured.temporary >= 0


@pytest.mark.parametrize("optimizer", [AdamW(), Sgd(), Sgd(momentum=0.0)])
def test_states_of_each_optimizer_are_predicted(optimizer: Any) -> None:
    predicted, measured = accounts("bert", replace(FAST, optimizer=optimizer))
    assert predicted.optimizer == measured.optimizer
    moments = {"adamw": 2, "sgd": 1}[optimizer.technique]
    assert predicted.optimizer == pytest.approx(
        0 if not getattr(optimizer, "momentum", 1) else moments * predicted.gradients, rel=0.01
    )


@pytest.mark.parametrize(
    ("zero", "shared"), [(0, ()), (1, ("optimizer",)), (2, ("optimizer", "gradients"))]
)
def test_zero_divides_what_it_shares_out(zero: Any, shared: tuple[str, ...]) -> None:
    model, _ = tiny_model("bert", head="masked")
    loss = Supervised("masked-lm")
    batch = language_batch(model.config.vocab_size)
    whole = predict_memory(model, loss, batch, FAST)
    setup = replace(FAST, parallel=Parallel(zero=zero))
    part = predict_memory(model, loss, batch, setup, ranks=4)
    for name in ("weights", "gradients", "optimizer", "activations"):
        ratio = getattr(part, name) / getattr(whole, name)
        assert ratio == pytest.approx(0.25 if name in shared else 1, rel=0.03)
    hybrid = replace(FAST, parallel=Parallel(zero=3, replicate=2))
    halves = predict_memory(model, loss, batch, hybrid, ranks=4)
    assert halves.gradients == pytest.approx(whole.gradients / 2, rel=0.03)
    assert halves.weights == pytest.approx(whole.weights / 2, rel=0.03)


def test_the_largest_part_of_an_uneven_tensor_counts() -> None:
    model = nn.Linear(3, 5, bias=False)
    assert [_share(model.weight, parts) for parts in (1, 2, 4, 8)] == [60, 36, 24, 12]


@pytest.mark.parametrize("saver", [OffloadActivations(to="disk"), OffloadOptimizer()])
def test_what_goes_elsewhere_is_not_predicted(saver: Any) -> None:
    model, _ = tiny_model("bert", head="masked")
    batch = language_batch(model.config.vocab_size)
    with pytest.raises(ValueError, match=f"{saver.technique} moves memory elsewhere"):
        predict_memory(model, Supervised("masked-lm"), batch, replace(FAST, memory=(saver,)))
