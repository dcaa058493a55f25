"""Gradient noise of a model on its own batches, measured beside a training or without one.

    g_i = gradient of a random piece i of the batch, of b_i of its B examples
    G_B = sum_i (b_i / B) g_i
    mean_i |g_i|^2, weighted by b_i / B, is that of batches of B / k examples, k pieces

One pass over the batch gives both sizes, and it need not be larger than what trains. Pieces are
random because microbatches are not: they hold texts of like length. Weights, gradients, buffers,
modes and random generators are afterwards what they were.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from leanformer.core.machine.device import device_of
from leanformer.core.machine.generators import kept_generators
from leanformer.data import Batch
from leanformer.train.attention import short_attention
from leanformer.train.batches import Batches
from leanformer.train.course import Progress
from leanformer.train.loss import Loss, loss_share, summed
from leanformer.train.noise.noise_scale import (
    GradientNoise,
    MovingNoise,
    estimate_noise,
    mean_noise,
)
from leanformer.train.optimizers.norms import whole_norms
from leanformer.train.scheduled_module import penalties, scheduled_modules


def gradient_noise(
    model: nn.Module,
    batches: Batches,
    loss: Loss,
    *,
    steps: int = 8,
    start: int = 0,
    pieces: int = 8,
    seed: int = 0,
) -> GradientNoise:
    """Measure the gradient noise of `model` at its present weights, in fp32.

    Args:
        model: Left as it is.
        batches: What it is or would be trained on.
        loss: What is or would be minimized; must be additive.
        steps: How many batches to average over; each costs about one training step.
        start: The first of them.
        pieces: Into how many random pieces the examples of a batch are split, at most one each.
        seed: Decides the pieces, and what is drawn for dropout and hidden tokens.

    Raises:
        ValueError: The loss compares the examples of a batch with each other, a batch has one
            example alone, or several processes train the model.
    """
    if dist.is_initialized() and (ranks := dist.get_world_size()) > 1:
        raise ValueError(
            f"gradient noise is measured in one process, and here are {ranks}; load the trained "
            "model or a checkpoint in one, and measure there"
        )
    if not loss.additive:
        raise ValueError(
            f"loss: {type(loss).__name__} compares the examples of a batch with each other, so "
            "that no part of a batch has a gradient of its own; measure with another loss"
        )
    device = device_of(model)
    loss = loss.to(device)
    with _untouched(model, loss), short_attention(model, batches.longest), kept_generators(device):
        torch.manual_seed(seed)
        return mean_noise(
            _noise_of_batch(model, batches.at(step), loss, pieces, device)
            for step in range(start, start + steps)
        )


class GradientNoiseHook:
    """A hook of `fit` that measures gradient noise every so many steps, on the batch to come.

    Attributes:
        measured: (step, moving averages) of every measurement so far.

    Args:
        batches: What the model is trained on.
        loss: What is minimized; must be additive.
        every: Steps from one measurement to the next; each costs about one step.
        pieces: As in `gradient_noise`.
        decay: How much of the moving averages stays at each measurement.
        tell: Called with the step and the moving averages, for whoever writes them down.
    """

    def __init__(
        self,
        batches: Batches,
        loss: Loss,
        *,
        every: int = 100,
        pieces: int = 8,
        decay: float = 0.9,
        tell: Callable[[int, GradientNoise], None] | None = None,
    ) -> None:
        self.batches, self.loss, self.every, self.pieces = batches, loss, every, pieces
        self.tell = tell
        self.measured: list[tuple[int, GradientNoise]] = []
        self._moving = MovingNoise(decay)

    def __call__(self, model: nn.Module, progress: Progress) -> None:
        """Measure where it is due; after the last step no batch is to come."""
        step = progress.step
        if step % self.every or step == progress.steps:
            return
        about = {"steps": 1, "start": step, "pieces": self.pieces, "seed": step}
        now = self._moving.update(gradient_noise(model, self.batches, self.loss, **about))
        self.measured.append((step, now))
        if self.tell is not None:
            self.tell(step, now)


def _noise_of_batch(
    model: nn.Module, parts: Sequence[Batch], loss: Loss, pieces: int, device: torch.device
) -> GradientNoise:
    """The estimate of one batch, given in microbatches."""
    shown = [loss.transform_batch(part) for part in parts]
    counts = summed([loss.counts(part) for part in shown])
    examples = sum(len(part.index) for part in shown)
    if examples < 2:
        raise ValueError(
            "batches: a batch of one example has no pieces to tell noise by; raise batch_size"
        )
    pieces = min(pieces, examples)
    chosen = torch.randperm(examples).remainder(pieces).split([len(part.index) for part in shown])
    parameters = [p for module in (model, loss) for p in module.parameters() if p.requires_grad]
    scheduled = scheduled_modules(model)
    total: list[Tensor | None] = [None] * len(parameters)
    small_square = 0.0
    for piece in range(pieces):
        rows = [(whose == piece).nonzero().flatten() for whose in chosen]
        size = sum(len(row) for row in rows)
        for part, row in zip(shown, rows, strict=True):
            if not len(row):
                continue
            batch = part.take(row.tolist()).to(device)
            share = loss_share(loss(model, batch), counts)
            if (penalty := penalties(scheduled)) is not None:
                share = share + penalty * len(row) / examples
            share.backward()  # type: ignore[no-untyped-call]
        small_square += examples / size * _square([p.grad for p in parameters])
        total = [_sum(held, p.grad) for held, p in zip(total, parameters, strict=True)]
        for parameter in parameters:
            parameter.grad = None
    sizes = {"small": examples / pieces, "big": float(examples)}
    return estimate_noise(small_square, _square(total), **sizes)


def _square(slopes: Sequence[Tensor | None]) -> float:
    """The squared norm of all gradients together."""
    norms = whole_norms([slope for slope in slopes if slope is not None])
    return float(torch.stack(norms).double().square().sum()) if norms else 0.0


def _sum(held: Tensor | None, slope: Tensor | None) -> Tensor | None:
    """`held`, to which `slope` is added in place."""
    if held is None or slope is None:
        return slope if held is None else held
    return held.add_(slope)


@contextmanager
def _untouched(model: nn.Module, loss: Loss) -> Iterator[None]:
    """Train within it; gradients, buffers and modes are as before afterwards."""
    both = [module for root in (model, loss) for module in root.modules()]
    modes = [(module, module.training) for module in both]
    parameters = [p for root in (model, loss) for p in root.parameters()]
    slopes = [(p, p.grad) for p in parameters]
    buffers = [(b, b.clone()) for root in (model, loss) for b in root.buffers()]
    for parameter in parameters:
        parameter.grad = None
    model.train()
    try:
        yield
    finally:
        for parameter, slope in slopes:
            parameter.grad = slope
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, held in buffers:
                buffer.copy_(held)
