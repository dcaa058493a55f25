import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from train.toy import FAST, toy
from train.two_terms import TASK, TwoTerms, same, trained

from leanformer.data import Batch
from leanformer.train import Supervised, Term, fit
from leanformer.train.evaluate import make_evaluator
from leanformer.train.schedules import LinearDecay


def test_it_learns() -> None:
    model, encoded = toy()
    evaluate = make_evaluator(encoded, TASK, precision="fp32")
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
    for max_tokens_per_microbatch in (1, 24, 10**6):
        model, encoded = toy(kind, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        setup = replace(
            FAST,
            batch_size=7,
            max_tokens_per_microbatch=max_tokens_per_microbatch,
            learning_rate=1e-3,
        )
        fitted = fit(model.double(), encoded, Supervised(kind), setup)
        results.append((fitted.losses, model.state_dict()))
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
        setup = replace(
            FAST, epochs=0.25, batch_size=9, max_tokens_per_microbatch=budget, max_grad_norm=0.0
        )
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


def test_a_loss_that_is_not_finite_is_refused_before_a_weight_changes() -> None:
    model, encoded = toy()

    class Broken(Supervised):
        def terms(self, outputs: Any, batch: Batch) -> list[Term]:
            (term,) = super().terms(outputs, batch)
            return [replace(term, total=term.total * math.nan)]

    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"step 1: the loss is nan; lower learning_rate \(0.002\)"):
        fit(model, encoded, Broken("classification"), FAST)
    assert same(model.state_dict(), before)


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
        trained(replace(FAST, schedule=LinearDecay(warmup=0.0), epochs=1))
    finally:
        handle.remove()
    assert rates == pytest.approx([2e-3 * share for share in (1, 3 / 4, 2 / 4, 1 / 4)])


def test_a_rate_said_for_another_batch_size_is_scaled_to_this_one() -> None:
    losses = []
    for fields in ({"learning_rate": 4e-3}, {"learning_rate": 2e-3, "base_batch_size": 1}):
        model, encoded = toy()
        setup = replace(FAST, epochs=1, **fields)  # type: ignore[arg-type]
        losses.append(fit(model, encoded, Supervised("classification"), setup).losses)
    assert losses[0] == losses[1]  # batches of 4: twice the rate, by the square root


def test_a_training_may_begin_in_the_middle_of_its_schedule_and_data() -> None:
    """From the weights of step 6 on it sees the batch, and so the loss, of step 7."""
    model, encoded = toy(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    loss, middle = Supervised("classification"), {}

    def keep(model: nn.Module, progress: Any) -> None:
        if progress.step == 6:
            middle.update({name: t.clone() for name, t in model.state_dict().items()})

    whole = fit(model, encoded, loss, FAST, hooks=[keep])
    model.load_state_dict(middle)
    half = fit(model, encoded, loss, replace(FAST, start_fraction=0.5))
    assert len(half.losses) == 6
    assert half.steps == 12
    assert half.losses[0] == pytest.approx(whole.losses[6], rel=1e-5)
