"""One training as it goes on: its steps, its evaluations, and what ends it early."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from leanformer.core.machine.generators import kept_generators
from leanformer.train.batches import Batches
from leanformer.train.execution import Execution
from leanformer.train.execution.finite import NotFinite, ended_by
from leanformer.train.scheduled_module import scheduled_modules
from leanformer.train.setup import TrainSetup
from leanformer.train.state import State

Evaluate = Callable[[nn.Module], float]


@dataclass(frozen=True)
class Progress:
    """Where a training is, handed to hooks and to the progress display.

    Attributes:
        step: Optimizer steps done; one that was left out in fp16 counts.
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


class Course:
    """One training as it goes on, step by step."""

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        setup: TrainSetup,
        execution: Execution,
        folder: Path | None,
    ) -> None:
        self.model, self.batches, self.setup, self.folder = model, batches, setup, folder
        self.execution, self.scheduled_modules = execution, scheduled_modules(model)
        self.steps = batches.steps(setup.duration)
        pieces = setup.evaluations or max(1, round(batches.epochs(setup.duration)))
        self.evaluations = {round(self.steps * (index + 1) / pieces) for index in range(pieces)}
        self.state = State(step=round(setup.start_fraction * self.steps))

    def steps_left(self, evaluate: Evaluate | None, keep_best: bool) -> Iterator[Progress]:
        """Do the steps that are left, one for each value."""
        started, state = time.perf_counter(), self.state
        self.update()
        while not self.ended():
            loss = self.optimize()
            self.update()
            quality = None
            if evaluate is not None and state.step in self.evaluations:
                quality = self.judge(evaluate, keep_best)
            seconds = time.perf_counter() - started
            epoch = state.step / self.batches.steps_per_epoch
            yield Progress(state.step, self.steps, epoch, loss, seconds, quality)

    def ended(self) -> bool:
        """Whether all steps are done, or so many evaluations in a row were no better."""
        patience = self.setup.early_stopping_patience
        tired = self.execution.decide(bool(patience) and self.state.stale >= patience)
        return tired or self.state.step >= self.steps

    def optimize(self) -> float:
        """One optimizer step; its loss."""
        state = self.state
        loss, carry = self.execution.forward_backward(self.batches.at(state.step), state.carry)
        if not math.isfinite(loss):
            raise self._ended(f"step {state.step + 1}: the loss is {loss}")
        try:
            moved = self.execution.step(self.setup.schedule.factor(state.step, self.steps))
        except NotFinite as error:
            raise self._ended(f"step {state.step + 1}: {error}") from error
        state.left_out += not moved
        state.carry = carry
        state.step += 1
        state.losses.append(loss)
        return loss

    def update(self) -> None:
        """Let the modules that change on a schedule be where they should."""
        with self.execution.moving():
            for module in self.scheduled_modules:
                module.update(self.state.step, self.steps)

    def require_finite(self) -> None:
        """Refuse weights that are not finite, which the last step must have made."""
        try:
            self.execution.require_finite()
        except NotFinite as error:
            raise self._ended(f"after step {self.state.step}: {error}") from error

    def check_end(self, chosen_by_quality: bool) -> None:
        """Refuse the end of a training that trained nothing, or found nothing to choose by."""
        self.require_finite()
        state = self.state
        if state.losses and state.left_out == len(state.losses):
            raise self._ended(f"the gradients overflowed fp16 in all {state.left_out} steps")
        if chosen_by_quality and state.best is None:
            raise ValueError(
                f"the quality on the development split was NaN in all {len(state.qualities)} "
                "evaluations, so that no weights are the best; look at the labels of that split, "
                "or set load_best_at_end = false"
            )

    def _ended(self, what: str) -> ValueError:
        return ended_by(what, self.setup, self.folder)

    def judge(self, evaluate: Evaluate, keep_best: bool) -> float:
        """Evaluate, and keep the weights where they are the best so far."""
        self.require_finite()
        with kept_generators(self.execution.device):
            self.model.eval()
            quality = self.execution.decide(evaluate(self.model))
        if self.state.judged(quality) and keep_best:
            self.state.best_weights = self.execution.weights()
        return quality
