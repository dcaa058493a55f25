"""Where a training is, and how it goes on after it was killed."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from leanformer.train.batches import Batches
from leanformer.train.checkpoints.identity import refuse_other
from leanformer.train.execution import Execution
from leanformer.train.loss import Carry

_PLAIN = ("step", "stale", "losses", "qualities", "best", "left_out")


@dataclass
class Fitted:
    """What a training gives.

    Attributes:
        losses: Loss of every step.
        qualities: (step, quality) of every evaluation.
        best: Best quality, or None without evaluation; the model holds the weights of then, unless
            the last ones were asked for.
        steps: Optimizer steps done.
        left_out: Those of them that moved no weight, because gradients overflowed fp16.
        stopped: Whether it was asked to stop before its end, and can go on.
    """

    losses: list[float]
    qualities: list[tuple[int, float]]
    best: float | None
    steps: int
    left_out: int = 0
    stopped: bool = False


@dataclass
class State:
    """What changes as a training goes on, beside the weights.

    Attributes:
        step: Optimizer steps done, each on the next batch: the schedule and the order of the data
            go on where fp16 leaves one out.
        left_out: Steps that moved no weight, because gradients overflowed fp16.
        stale: Evaluations since the best one.
        losses: Loss of every step.
        qualities: (step, quality) of every evaluation.
        best: Best quality; None before the first evaluation that gave a number.
        best_weights: The model's weights of then, where they are kept.
        carry: What the last step handed on to the next.
    """

    step: int = 0
    left_out: int = 0
    stale: int = 0
    losses: list[float] = field(default_factory=list)
    qualities: list[tuple[int, float]] = field(default_factory=list)
    best: float | None = None
    best_weights: dict[str, Tensor] | None = None
    carry: Carry = field(default_factory=dict)

    def judged(self, quality: float) -> bool:
        """Note an evaluation; whether it is the best so far."""
        self.qualities.append((self.step, quality))
        better = not math.isnan(quality) and (self.best is None or quality > self.best)
        self.stale = 0 if better else self.stale + 1
        self.best = quality if better else self.best
        return better


def save(
    folder: Path, state: State, execution: Execution, batches: Batches, identity: dict[str, Any]
) -> None:
    """Write a checkpoint.

    Args:
        folder: Where to.
        state: Where the training is.
        execution: Whose weights, moments and generators are written.
        batches: Whose place is written.
        identity: What tells this training from another one (`train.identity`).
    """
    groups, values = execution.state()
    groups["carry"] = state.carry
    if state.best_weights is not None:
        groups["best"] = state.best_weights
    plain = {name: getattr(state, name) for name in _PLAIN}
    own = {"identity": identity, "data": batches.state()}
    execution.write(folder, groups, {**plain, **values, **own})


def resume(
    folder: Path, state: State, execution: Execution, batches: Batches, identity: dict[str, Any]
) -> None:
    """Go on from the checkpoint in `folder`, if there is one; arguments are as for `save`.

    Raises:
        ValueError: It is broken, or of another training.
    """
    found = execution.read(folder)
    if found is None:
        return
    groups, values = found
    refuse_other(folder, values.get("identity"), identity)
    try:
        batches.restore(values["data"])
    except ValueError as error:
        raise ValueError(f"{folder}: {error}; remove the folder to begin anew") from error
    execution.restore(groups, values, folder)
    for name in _PLAIN:
        setattr(state, name, values[name])
    state.qualities = [(step, quality) for step, quality in state.qualities]
    state.best_weights = groups.get("best")
    state.carry = {name: tensor.to(execution.device) for name, tensor in groups["carry"].items()}
