"""The only training loop.

Fine-tuning, distillation, quantization-aware training and pruning all run here: a method is a
`Loss` (what is minimized) and hooks (what happens around a step). One step:

    batch = batches.at(step)
    execution.forward_backward(batch)     accumulation, exact for unequal parts
    execution.step(schedule(step))        clip, optimizer; refuses what is not finite
    scheduled modules, evaluation, hooks, checkpoint

Which device does it, in which precision, and who writes, is the execution's affair; whatever is
decided here (the best weights, an early stop, time for a checkpoint) is decided through it, so that
several processes decide alike. After a kill the loop goes on from the last checkpoint with the same
losses that it would have had.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

import torch
from torch import nn

from leanformer.data import Encoded
from leanformer.train.attention import short_attention
from leanformer.train.batches import Batches, ShuffledBatches
from leanformer.train.checkpoints import checkpoint
from leanformer.train.checkpoints.identity import deciding, identify
from leanformer.train.course import Course, Evaluate, Progress
from leanformer.train.execution import Execution, make_execution
from leanformer.train.frozen import frozen_embeddings
from leanformer.train.loss import Loss
from leanformer.train.ranks import count_ranks
from leanformer.train.setup import TrainSetup
from leanformer.train.state import Fitted, resume, save

Hook = Callable[[nn.Module, Progress], None]


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
    stop: Callable[[], bool] | None = None,
    execute: Callable[[nn.Module, Loss, TrainSetup], Execution] = make_execution,
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
        stop: Asked after each step whether to end here, to go on another time: the weights are
            those of now. Any process that says so ends all. With it, the last step too is followed
            by a checkpoint.
        execute: Makes what executes the steps.

    Raises:
        ValueError: The loss, a gradient or a weight is not finite, or no evaluation gave a number;
            the loss needs whole batches that are too large for one microbatch; or the checkpoint in
            `folder` is broken.
    """
    batches = data if isinstance(data, Batches) else _shuffled(data, setup, seed)
    if not loss.additive:
        batches.require_whole(type(loss).__name__)
    frozen = frozen_embeddings(model) if setup.freeze_embeddings else nullcontext()
    with frozen, short_attention(model, batches.longest), ExitStack() as saving:
        for saver in setup.memory:
            saving.enter_context(saver.apply(model, loss))
        settings = {"seed": seed, "keep_best": keep_best}
        identity = identify(model, batches, loss, setup, **settings) if folder is not None else {}
        run = Course(model, batches, setup, execute(model, loss, setup.scaled()), folder)
        if count_ranks() > 1:
            content = {"data": [batches.identity(), batches.state()], "setup": deciding(setup)}
            given = {"folder": folder, "evaluate": evaluate, "stop": stop}
            there = {name: one is not None for name, one in given.items()}
            run.execution.require_alike({**content, **settings, **there})
        identity = run.execution.decide(identity)
        saving.push(lambda error, *_: run.execution.close() if error is None else None)
        torch.manual_seed(seed)
        if folder is not None:
            resume(folder, run.state, run.execution, batches, identity)
        saved = time.perf_counter()
        for progress in run.steps_left(evaluate, keep_best):
            for hook in hooks:
                hook(model, progress)
            stopped = stop is not None and run.execution.wished(stop())
            last = stop is not None and progress.step == progress.steps
            due = stopped or last or time.perf_counter() - saved >= setup.checkpoint_seconds
            if folder is not None and run.execution.decide(due):
                run.require_finite()
                save(folder, run.state, run.execution, batches, identity)
                saved = time.perf_counter()
            if stopped and not run.ended():
                break
        else:
            stopped = False
            run.check_end(evaluate is not None and keep_best)
            if run.state.best_weights is not None:
                checkpoint.load_weights(model, run.state.best_weights, "the best weights")
    state = run.state
    model.eval()
    return Fitted(state.losses, state.qualities, state.best, state.step, state.left_out, stopped)


def _shuffled(encoded: Encoded, setup: TrainSetup, seed: int) -> Batches:
    return ShuffledBatches(
        encoded,
        batch_size=setup.batch_size,
        max_tokens=setup.max_tokens_per_microbatch,
        seed=seed,
        ranks=count_ranks(),
    )
