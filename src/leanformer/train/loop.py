"""The only training loop.

Fine-tuning, distillation, quantization-aware training and pruning all run here: a method is a
`Loss` (what is minimized) and hooks (what happens around a step). One step:

    for part of batch:   backward(share of the loss)          accumulation, exact for unequal parts
    unscale, clip, AdamW, schedule, hooks

After a kill the loop goes on from the last checkpoint with the same losses that it would have had.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from leanformer.data import Encoded
from leanformer.train import checkpoint
from leanformer.train.adamw import adamw
from leanformer.train.attention import short_attention
from leanformer.train.batches import Batches, ShuffledBatches
from leanformer.train.follower import followers, penalties
from leanformer.train.frozen import frozen_embeddings
from leanformer.train.loss import Carry, Loss, detached, loss_share, summed
from leanformer.train.precision import Precision
from leanformer.train.schedule import factor
from leanformer.train.setup import TrainSetup


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


@dataclass
class Fitted:
    """What a training gives.

    Attributes:
        losses: Loss of every step.
        qualities: (step, quality) of every evaluation.
        best: Best quality, or None without evaluation; the model holds the weights of then, unless
            the last ones were asked for.
        steps: Optimizer steps done.
    """

    losses: list[float]
    qualities: list[tuple[int, float]]
    best: float | None
    steps: int


Hook = Callable[[nn.Module, Progress], None]


def fit(
    model: nn.Module,
    data: Encoded | Batches,
    loss: Loss,
    setup: TrainSetup,
    *,
    evaluate: Callable[[nn.Module], float] | None = None,
    keep_best: bool = True,
    folder: Path | None = None,
    hooks: Sequence[Hook] = (),
    seed: int = 0,
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

    Raises:
        ValueError: The loss is not finite, or needs whole batches that are too large for one
            microbatch; or the checkpoint in `folder` is broken.
    """
    batches = data if isinstance(data, Batches) else _shuffled(data, setup, seed)
    _refuse_parts(loss, batches, setup)
    frozen = frozen_embeddings(model) if setup.freeze_embeddings else nullcontext()
    with frozen, short_attention(model, batches.longest):
        run = _Run(model, batches, loss, setup, folder, seed, keep_best)
        run.resume()
        _run_steps(run, evaluate, hooks)
    if run.best_weights is not None:
        model.load_state_dict(run.best_weights, strict=False)
    model.eval()
    return Fitted(run.losses, run.qualities, run.best, run.step)


def _shuffled(encoded: Encoded, setup: TrainSetup, seed: int) -> Batches:
    return ShuffledBatches(
        encoded, batch_size=setup.batch_size, max_tokens=setup.max_tokens_per_microbatch, seed=seed
    )


def _refuse_parts(loss: Loss, batches: Batches, setup: TrainSetup) -> None:
    """Refuse batches in parts where the loss compares all examples of a batch."""
    if not loss.additive and batches.whole_tokens:
        raise ValueError(
            f"max_tokens_per_microbatch: {setup.max_tokens_per_microbatch} splits batches, and "
            f"{type(loss).__name__} compares the examples of a batch with each other, so that its "
            f"parts do not add up; set it to {batches.whole_tokens}, or lower batch_size "
            f"({setup.batch_size})"
        )


def _run_steps(
    run: "_Run", evaluate: Callable[[nn.Module], float] | None, hooks: Sequence[Hook]
) -> None:
    """The steps that are left, with evaluations, hooks and checkpoints between them."""
    started = time.perf_counter()
    saved = started
    run.follow()
    while run.step < run.steps and not run.stopped:
        value = run.optimize()
        run.follow()
        quality = None
        if evaluate is not None and run.step in run.evaluations:
            quality = run.judge(evaluate)
        now = time.perf_counter()
        progress = Progress(
            run.step,
            run.steps,
            run.step / run.batches.steps_per_epoch,
            value,
            now - started,
            quality,
        )
        for hook in hooks:
            hook(run.model, progress)
        if run.folder is not None and now - saved >= run.setup.checkpoint_seconds:
            run.save()
            saved = time.perf_counter()


class _Run:
    """The state of one training."""

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        loss: Loss,
        setup: TrainSetup,
        folder: Path | None,
        seed: int,
        keep_best: bool,
    ) -> None:
        self.keep_best = keep_best
        self.model, self.batches, self.loss, self.setup = model, batches, loss, setup
        self.folder, self.seed = folder, seed
        self.steps = batches.steps(setup.duration)
        pieces = setup.evaluations or max(1, round(batches.epochs(setup.duration)))
        self.evaluations = {round(self.steps * (index + 1) / pieces) for index in range(pieces)}
        self.parameters = [p for m in (model, loss) for p in m.parameters() if p.requires_grad]
        self.followers = followers(model)
        self.optimizer = adamw([model, loss], setup)
        self.precision = Precision(setup.precision, next(model.parameters()).device.type)
        self.step = round(setup.start_fraction * self.steps)
        self.stale = 0
        self.carry: Carry = {}
        self.losses: list[float] = []
        self.qualities: list[tuple[int, float]] = []
        self.best: float | None = None
        self.best_weights: dict[str, Tensor] | None = None
        torch.manual_seed(seed)

    @property
    def kind(self) -> str:
        """What tells this training from another one that would fit the same checkpoint."""
        setup = replace(self.setup, checkpoint_seconds=0.0)
        return f"{setup} {type(self.loss).__name__} {self.seed}"

    @property
    def stopped(self) -> bool:
        return (
            bool(self.setup.early_stopping_patience)
            and self.stale >= self.setup.early_stopping_patience
        )

    def optimize(self) -> float:
        """One optimizer step; its loss."""
        parts = [self.loss.transform_batch(part) for part in self.batches.at(self.step)]
        assert self.loss.additive or len(parts) == 1, "a loss that is not additive, in parts"
        counts = summed([self.loss.counts(part) for part in parts])
        rate = self.setup.learning_rate * factor(
            self.setup.schedule, self.step, self.steps, self.setup.warmup
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.model.train()
        shares, carry = [], self.carry
        for part in parts:
            with self.precision.autocast():
                outputs = self.loss.outputs(self.model, part, self.carry)
                share = loss_share(self.loss.terms(outputs, part), counts)
                if (penalty := penalties(self.followers)) is not None:
                    share = share + penalty / len(parts)
            self.precision.backward(share)
            shares.append(share.detach())
            carry = detached(self.loss.next_carry(outputs, part, carry))
        total = sum(torch.stack(shares).tolist())  # read once: on a GPU each reading waits for it
        if not math.isfinite(total):
            raise ValueError(
                f"step {self.step + 1}: the loss is {total}; lower learning_rate "
                f"({self.setup.learning_rate:g}) or set precision = 'fp32'"
            )
        self.precision.step(self.optimizer, self.parameters, self.setup.max_grad_norm)
        self.optimizer.zero_grad(set_to_none=True)
        self.carry = carry
        self.step += 1
        self.losses.append(total)
        return total

    def follow(self) -> None:
        """Let the parts of the model that move with the training be where they should."""
        for part in self.followers:
            part.follow(self.step, self.steps)

    def judge(self, evaluate: Callable[[nn.Module], float]) -> float:
        """Evaluate, and keep the weights where they are the best so far."""
        generator = torch.get_rng_state()
        self.model.eval()
        quality = evaluate(self.model)
        torch.set_rng_state(generator)  # an evaluation must not change what follows
        self.qualities.append((self.step, quality))
        if self.best is None or quality > self.best:
            self.best, self.stale = quality, 0
            if self.keep_best:
                self.best_weights = {
                    key: value.clone() for key, value in self.model.state_dict().items()
                }
        else:
            self.stale += 1
        return quality

    def save(self) -> None:
        """Write a checkpoint."""
        assert self.folder is not None
        groups = {
            "model": checkpoint.weights(self.model),
            "loss": checkpoint.weights(self.loss),
            "optimizer": checkpoint.optimizer_tensors(self.optimizer),
            "random": {"cpu": torch.get_rng_state()},
            "carry": self.carry,
        }
        if self.best_weights is not None:
            groups["best"] = self.best_weights
        names = ("step", "steps", "stale", "losses", "qualities", "best")
        state = {name: getattr(self, name) for name in names}
        state |= {"scale": self.precision.scaler.state_dict(), "kind": self.kind}
        state["data"] = self.batches.state()
        checkpoint.save(self.folder, groups, state)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        found = checkpoint.load(self.folder) if self.folder is not None else None
        if found is None:
            return
        groups, state = found
        if state["steps"] != self.steps:
            raise ValueError(
                f"{self.folder}: the checkpoint is of {state['steps']} steps, this training has "
                f"{self.steps}; remove the folder to begin anew"
            )
        if state.pop("kind") != self.kind:
            raise ValueError(
                f"{self.folder}: the checkpoint is of a training with another setup, loss, seed or "
                "data; remove the folder to begin anew"
            )
        try:
            self.batches.restore(state.pop("data"))
        except ValueError as error:
            raise ValueError(f"{self.folder}: {error}; remove the folder to begin anew") from error
        self.model.load_state_dict(groups["model"], strict=False)
        self.loss.load_state_dict(groups["loss"], strict=False)
        checkpoint.restore_optimizer(self.optimizer, groups["optimizer"])
        self.precision.scaler.load_state_dict(state.pop("scale"))
        torch.set_rng_state(groups["random"]["cpu"])
        self.carry = groups["carry"]
        self.best_weights = groups.get("best")
        self.qualities = [(step, quality) for step, quality in state.pop("qualities")]
        for name, value in state.items():
            setattr(self, name, value)
