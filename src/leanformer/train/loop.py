"""The only training loop.

Fine-tuning, distillation, quantization-aware training and pruning all run here: a method is a
`Loss` (what is minimized) and hooks (what happens around a step). One step:

    batch = batches.at(step)
    execution.forward_backward(batch)     accumulation, exact for unequal parts
    execution.step(schedule(step))        clip, optimizer
    scheduled modules, evaluation, hooks, checkpoint

Which device does it, in which precision, and who writes, is the execution's affair; whatever is
decided here (the best weights, an early stop, time for a checkpoint) is decided through it, so that
several processes decide alike. After a kill the loop goes on from the last checkpoint with the same
losses that it would have had.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from leanformer.data import Encoded
from leanformer.train.attention import short_attention
from leanformer.train.batches import Batches, ShuffledBatches
from leanformer.train.checkpoints import checkpoint
from leanformer.train.checkpoints.identity import identify
from leanformer.train.execution import Execution, OneDevice
from leanformer.train.frozen import frozen_embeddings
from leanformer.train.generators import kept_generators
from leanformer.train.loss import Loss
from leanformer.train.scheduled_module import scheduled_modules
from leanformer.train.setup import TrainSetup
from leanformer.train.state import Fitted, State, resume, save


@dataclass(frozen=True)
class Progress:
    """Where a training is, handed to hooks and to the progress display.

    Attributes:
        step: Optimizer steps done.
        steps: Optimizer steps in all.
        epoch: Passes done, a fraction.
        loss: Loss of this step, averaged as its terms say.
        seconds: Time since the loop began or was resumed.
        quality: Quality on the development split, where this step ended with an evaluation.
    """

    step: int
    steps: int
    epoch: float
    loss: float
    seconds: float
    quality: float | None = None


Hook = Callable[[nn.Module, Progress], None]
Evaluate = Callable[[nn.Module], float]


def fit(
    model: nn.Module,
    data: Encoded | Batches,
    loss: Loss,
    setup: TrainSetup,
    *,
    evaluate: Evaluate | None = None,
    keep_best: bool = True,
    folder: Path | None = None,
    hooks: Sequence[Hook] = (),
    seed: int = 0,
    execute: Callable[[nn.Module, Loss, TrainSetup], Execution] = OneDevice,
) -> Fitted:
    """Train `model` in place.

    Args:
        model: What is trained; its weights end at the best evaluation, or at the last step without
            one or without `keep_best`.
        data: The training examples, which are shuffled in each epoch; or batches of one's own,
            which `batch_size` and `max_tokens_per_microbatch` of the setup do not touch.
        loss: What is minimized; its own parameters are trained too.
        setup: Hyperparameters.
        evaluate: Quality on the development split, higher is better.
        keep_best: Whether the weights of the best evaluation are kept; otherwise evaluations are
            only told of.
        folder: Where checkpoints go; None = none are written.
        hooks: Called after each optimizer step, in order.
        seed: Decides data order and dropout.
        execute: Makes what executes the steps.

    Raises:
        ValueError: The loss is not finite, or needs whole batches that are too large for one
            microbatch; or the checkpoint in `folder` is broken.
    """
    batches = data if isinstance(data, Batches) else _shuffled(data, setup, seed)
    if not loss.additive:
        batches.require_whole(type(loss).__name__)
    frozen = frozen_embeddings(model) if setup.freeze_embeddings else nullcontext()
    with frozen, short_attention(model, batches.longest):
        settings = {"seed": seed, "keep_best": keep_best}
        identity = identify(model, batches, loss, setup, **settings) if folder is not None else {}
        run = _Run(model, batches, setup, execute(model, loss, setup))
        torch.manual_seed(seed)
        if folder is not None:
            resume(folder, run.state, run.execution, batches, identity)
        saved = time.perf_counter()
        for progress in run.steps_left(evaluate, keep_best):
            for hook in hooks:
                hook(model, progress)
            due = time.perf_counter() - saved >= setup.checkpoint_seconds
            if folder is not None and run.execution.decide(due):
                save(folder, run.state, run.execution, batches, identity)
                saved = time.perf_counter()
    state = run.state
    if state.best_weights is not None:
        checkpoint.load_weights(model, state.best_weights, "the best weights")
    model.eval()
    return Fitted(state.losses, state.qualities, state.best, state.step)


def _shuffled(encoded: Encoded, setup: TrainSetup, seed: int) -> Batches:
    return ShuffledBatches(
        encoded, batch_size=setup.batch_size, max_tokens=setup.max_tokens_per_microbatch, seed=seed
    )


class _Run:
    """One training as it goes on."""

    def __init__(
        self, model: nn.Module, batches: Batches, setup: TrainSetup, execution: Execution
    ) -> None:
        self.model, self.batches, self.setup = model, batches, setup
        self.execution, self.scheduled_modules = execution, scheduled_modules(model)
        self.steps = batches.steps(setup.duration)
        pieces = setup.evaluations or max(1, round(batches.epochs(setup.duration)))
        self.evaluations = {round(self.steps * (index + 1) / pieces) for index in range(pieces)}
        self.state = State(step=round(setup.start_fraction * self.steps))

    def steps_left(self, evaluate: Evaluate | None, keep_best: bool) -> Iterator[Progress]:
        """Do the steps that are left, one for each value."""
        started, state = time.perf_counter(), self.state
        self.update()
        while state.step < self.steps and not self.stopped():
            loss = self.optimize()
            self.update()
            quality = None
            if evaluate is not None and state.step in self.evaluations:
                quality = self.judge(evaluate, keep_best)
            seconds = time.perf_counter() - started
            epoch = state.step / self.batches.steps_per_epoch
            yield Progress(state.step, self.steps, epoch, loss, seconds, quality)

    def stopped(self) -> bool:
        """Whether so many evaluations in a row were no better that the training ends."""
        patience = self.setup.early_stopping_patience
        return self.execution.decide(bool(patience) and self.state.stale >= patience)

    def optimize(self) -> float:
        """One optimizer step; its loss."""
        setup, state = self.setup, self.state
        loss, carry = self.execution.forward_backward(self.batches.at(state.step), state.carry)
        if not math.isfinite(loss):
            raise ValueError(
                f"step {state.step + 1}: the loss is {loss}; lower learning_rate "
                f"({setup.optimizer.learning_rate:g}) or set precision = 'fp32'"
            )
        self.execution.step(setup.schedule.factor(state.step, self.steps))
        state.carry = carry
        state.step += 1
        state.losses.append(loss)
        return loss

    def update(self) -> None:
        """Let the modules that change on a schedule be where they should."""
        for module in self.scheduled_modules:
            module.update(self.state.step, self.steps)

    def judge(self, evaluate: Evaluate, keep_best: bool) -> float:
        """Evaluate, and keep the weights where they are the best so far."""
        with kept_generators(self.execution.device):
            self.model.eval()
            quality = self.execution.decide(evaluate(self.model))
        if self.state.judged(quality) and keep_best:
            self.state.best_weights = self.execution.weights()
        return quality
