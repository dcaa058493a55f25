import math
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from train.toy import FAST, examples, toy

from leanformer.data import Batch, Encoded, Task, encode_examples
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train import Fitted, Loss, Progress, Supervised, Term, TrainSetup, fit
from leanformer.train.evaluate import judge
from leanformer.train.loop import _adamw, _parts

TASK = Task(kind="classification", labels=("music", "rice"))


class TwoTerms(Loss):
    """A loss with a parameter of its own, and means over different units."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, model: nn.Module, batch: Batch) -> list[Term]:
        output = model(**batch.inputs, output_hidden_states=True)
        keep = batch.inputs["attention_mask"].bool()
        (labels,) = Supervised("classification")(_Shifted(output.logits + self.bias), batch)
        size = output.hidden_states[-1][keep].pow(2).mean()
        return [
            labels,
            Term("size", size, 0.3, "token"),
            Term("one", self.bias.sum(), 0.1, "example"),
        ]


class _Shifted(nn.Module):
    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, **inputs: Tensor) -> Any:
        return self


def killer(step: int) -> Callable[[nn.Module, Progress], None]:
    def hook(model: nn.Module, progress: Progress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    return hook


def trained(setup: TrainSetup = FAST, **settings: Any) -> tuple[Fitted, dict[str, Tensor]]:
    model, encoded = toy()
    evaluate = judge(encoded, TASK, precision="fp32")
    fitted = fit(model, encoded, TwoTerms(), setup, evaluate=evaluate, **settings)
    return fitted, model.state_dict()


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_it_learns() -> None:
    model, encoded = toy()
    evaluate = judge(encoded, TASK, precision="fp32")
    before = evaluate(model)
    setup = replace(FAST, epochs=12, evaluations=3)
    fitted = fit(model, encoded, Supervised("classification"), setup, evaluate=evaluate)
    assert [step for step, _ in fitted.qualities] == [16, 32, 48]
    assert fitted.best == evaluate(model) == 1.0 > before
    assert fitted.losses[-1] < fitted.losses[0] / 2
    assert not model.training


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens"])
def test_a_batch_in_parts_gives_the_losses_and_weights_of_the_whole(kind: Any) -> None:
    results = []
    for micro_tokens in (1, 24, 10**6):
        model, encoded = toy(kind, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        setup = replace(FAST, batch_size=7, micro_tokens=micro_tokens, learning_rate=1e-3)
        fitted = fit(model.double(), encoded, Supervised(kind), setup)
        results.append((fitted.losses, model.state_dict()))
    assert len(_parts(encoded, list(range(7)), 1)) == 7
    assert len(_parts(encoded, list(range(7)), 10**6)) == 1
    for losses, weights in results[:-1]:
        assert losses == pytest.approx(results[-1][0], rel=1e-5)
        for key, weight in results[-1][1].items():
            torch.testing.assert_close(weights[key], weight, rtol=1e-3, atol=1e-5)


def test_means_over_different_units_are_exact_in_parts_too() -> None:
    slopes = []
    for budget in (1, 20, 10**6):
        model, encoded = toy(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        loss = TwoTerms()
        seen: list[Tensor] = []

        def keep(optimizer: Any, args: Any, kwargs: Any) -> None:
            seen.extend(p.grad.clone() for group in optimizer.param_groups for p in group["params"])  # noqa: B023

        handle = register_optimizer_step_pre_hook(keep)
        setup = replace(FAST, epochs=0.25, batch_size=9, micro_tokens=budget, clip=0.0)
        try:
            fit(model, encoded, loss, setup)
        finally:
            handle.remove()
        slopes.append(seen)
    for seen in slopes[:-1]:
        for ours, theirs in zip(seen, slopes[-1], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_the_same_seed_gives_the_same_losses_and_another_does_not() -> None:
    first, second, other = trained(seed=3), trained(seed=3), trained(seed=4)
    assert first[0] == second[0]
    assert same(first[1], second[1])
    assert first[0].losses != other[0].losses


@pytest.mark.parametrize(
    ("kill", "precision"), [(1, "fp32"), (4, "fp32"), (11, "fp32"), (5, "bf16"), (5, "fp16")]
)
def test_a_training_that_was_killed_ends_like_one_that_was_not(
    tmp_path: Path, kill: int, precision: Any
) -> None:
    setup = replace(FAST, precision=precision, evaluations=5)
    whole = trained(setup, seed=1)
    with pytest.raises(KeyboardInterrupt):
        trained(setup, seed=1, folder=tmp_path / "c", hooks=[killer(kill)])
    resumed = trained(setup, seed=1, folder=tmp_path / "c")
    assert resumed[0] == whole[0]
    assert same(resumed[1], whole[1])
    again = trained(setup, seed=1, folder=tmp_path / "c", hooks=[killer(12)])
    assert again[0] == whole[0]  # finished: nothing is trained any more


def test_a_resumed_training_does_not_begin_anew(tmp_path: Path) -> None:
    steps: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        trained(folder=tmp_path / "c", hooks=[killer(7)])
    trained(folder=tmp_path / "c", hooks=[lambda model, progress: steps.append(progress.step)])
    assert steps == list(range(7, 13))


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch
torch.set_num_threads(1)
from train.toy import FAST, toy
from leanformer.train import Supervised, fit

def hook(model, progress):
    if progress.step == 6:
        os.kill(os.getpid(), signal.SIGKILL)

model, encoded = toy()
fit(model, encoded, Supervised("classification"), FAST, folder=Path(sys.argv[2]), hooks=[hook])
"""


def test_a_killed_process_is_resumed_by_another(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[1]), str(tmp_path / "c")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    steps: list[int] = []
    results = []
    for folder in (tmp_path / "c", None):
        model, encoded = toy()
        hooks = [lambda model, progress: steps.append(progress.step)]
        loss = Supervised("classification")
        fitted = fit(model, encoded, loss, FAST, folder=folder, hooks=hooks)
        results.append(fitted)
    assert steps == [*range(6, 13), *range(1, 13)]
    # Two processes lay their tensors out differently, and matrix products may then round the last
    # bit differently, which Adam blows up where a gradient is nearly zero. Within one process the
    # tests above demand losses and weights equal bit for bit.
    assert results[0].losses == pytest.approx(results[1].losses, rel=1e-4)


def scripted(values: list[float]) -> Callable[[nn.Module], float]:
    """An evaluation that gives these qualities, and uses up randomness."""
    left = iter(values)

    def evaluate(model: nn.Module) -> float:
        torch.rand(7)
        return next(left)

    return evaluate


def test_the_best_weights_are_restored() -> None:
    model, encoded = toy()
    seen: dict[int, Tensor] = {}

    def keep(model: Any, progress: Progress) -> None:
        seen[progress.step] = model.classifier.weight.detach().clone()

    setup = replace(FAST, evaluations=6)
    qualities = [0.1, 0.5, 0.9, 0.9, 0.2, 0.3]
    fitted = fit(
        model,
        encoded,
        Supervised("classification"),
        setup,
        evaluate=scripted(qualities),
        hooks=[keep],
    )
    assert (fitted.best, fitted.steps) == (0.9, 12)
    assert fitted.qualities == list(zip([2, 4, 6, 8, 10, 12], qualities, strict=True))
    assert torch.equal(model.classifier.weight, seen[6])
    assert not torch.equal(seen[6], seen[12])


def test_an_evaluation_changes_nothing_of_what_follows() -> None:
    losses = []
    for evaluate in (None, scripted([0.0] * 3)):
        model, encoded = toy()
        losses.append(
            fit(model, encoded, Supervised("classification"), FAST, evaluate=evaluate).losses
        )
    assert losses[0] == losses[1]


def test_patience_stops_early(tmp_path: Path) -> None:
    setup = replace(FAST, evaluations=12, patience=2)

    def run(folder: Path | None) -> Fitted:
        model, encoded = toy()
        evaluate = scripted([0.1, 0.4, 0.3, 0.4, 0.9])
        loss = Supervised("classification")
        return fit(model, encoded, loss, setup, evaluate=evaluate, folder=folder)

    fitted = run(tmp_path / "c")
    assert (fitted.steps, fitted.best, len(fitted.losses)) == (4, 0.4, 4)
    assert run(tmp_path / "c") == fitted  # the stop is remembered


def test_a_loss_that_is_not_finite_is_refused_before_a_weight_changes() -> None:
    model, encoded = toy()

    class Broken(Loss):
        def forward(self, model: nn.Module, batch: Batch) -> list[Term]:
            (term,) = Supervised("classification")(model, batch)
            return [replace(term, mean=term.mean * math.nan)]

    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"step 1: the loss is nan; lower learning_rate \(0.002\)"):
        fit(model, encoded, Broken(), FAST)
    assert same(model.state_dict(), before)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    trained(folder=tmp_path / "c")
    with pytest.raises(
        ValueError, match="the checkpoint is of 12 steps, this training has 8; remove"
    ):
        trained(replace(FAST, epochs=2), folder=tmp_path / "c")
    with pytest.raises(ValueError, match="another setup, loss, seed or data; remove"):
        trained(replace(FAST, learning_rate=1e-5), folder=tmp_path / "c")
    with pytest.raises(ValueError, match="another setup, loss, seed or data; remove"):
        trained(seed=9, folder=tmp_path / "c")


def test_a_broken_checkpoint_is_refused(tmp_path: Path) -> None:
    trained(folder=tmp_path / "c")
    weights = tmp_path / "c" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match="broken checkpoint"):
        trained(folder=tmp_path / "c")


def test_only_matrices_decay() -> None:
    model, _ = toy()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, free = _adamw([model], replace(FAST, weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    chosen = {names[id(parameter)] for parameter in decayed["params"]}
    assert len(chosen) + len(free["params"]) == len(names)
    assert chosen == {
        name
        for name in names.values()
        if name.endswith("weight") and "LayerNorm" not in name and "embeddings" not in name
    }


def test_frozen_parameters_stay_and_those_of_the_loss_are_trained() -> None:
    model, encoded = toy()
    model.bert.embeddings.requires_grad_(False)
    words = model.bert.embeddings.word_embeddings.weight.clone()
    loss = TwoTerms()
    fit(model, encoded, loss, FAST)
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, words)
    assert loss.bias.abs().sum() > 0


def test_the_rate_follows_the_schedule() -> None:
    rates: list[float] = []
    handle = register_optimizer_step_pre_hook(
        lambda optimizer, args, kwargs: rates.append(optimizer.param_groups[0]["lr"])
    )
    try:
        trained(replace(FAST, schedule="linear", warmup=0.0, epochs=1))
    finally:
        handle.remove()
    assert rates == pytest.approx([2e-3 * share for share in (1, 3 / 4, 2 / 4, 1 / 4)])


def test_parts_hold_each_example_once_and_keep_the_budget() -> None:
    encoded: Encoded = encode_examples(examples(), tiny_tokenizer("bert"), "classification", 32)
    for budget in (1, 10, 25, 60, 999):
        parts = _parts(encoded, list(range(16)), budget)
        assert sorted(index for part in parts for index in part.index) == list(range(16))
        for part in parts:
            assert part.inputs["input_ids"].numel() <= budget or len(part.index) == 1
