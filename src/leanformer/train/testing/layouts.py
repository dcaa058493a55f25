"""How much the trainings of several layouts differ from that of one process.

    gradient   of the first step, every parameter:  max |g - g'| / max |g'| over the whole model
    weights    after the last step, and buffers:    max |w - w'| / max(1, max |w'|) of each tensor
    loss       of every step, relative
    norm       of the gradient in every step, before it is clipped, relative

In float64 rounding leaves about 1e-15. A sum that is left out, or a mean in place of a sum, changes
gradients by a tenth or more; AdamW hides a wrong factor in the weights, so gradients are compared
too.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from leanformer.data import Encoded
from leanformer.train.batches import Batches
from leanformer.train.course import Evaluate
from leanformer.train.execution import Execution, make_execution
from leanformer.train.loop import fit
from leanformer.train.loss import Loss
from leanformer.train.parallel import Parallel
from leanformer.train.setup import TrainSetup
from leanformer.train.testing.on_ranks import on_ranks

Make = Callable[[], "Trained"]


@dataclass(frozen=True)
class Trained:
    """A training to compare: what `fit` is given. Its model must be the same in every process.

    Attributes:
        model: What is trained; in float64 for exact comparisons, and without dropout, which ranks
            draw otherwise than one process.
        data: The examples, or batches.
        loss: What is minimized.
        setup: How; the layout takes the place of its `parallel`.
        evaluate: Quality on a development split, or None.
        keep_best: Whether the training ends with the weights of the best evaluation.
    """

    model: nn.Module
    data: Encoded | Batches
    loss: Loss
    setup: TrainSetup
    evaluate: Evaluate | None = None
    keep_best: bool = True


@dataclass
class Trace:
    """What a training computed.

    Attributes:
        losses: Of every step.
        norms: Of the gradient in every step, before it was clipped.
        gradients: Of the first step, by the name of the parameter, without the scale of fp16.
        weights: Parameters and buffers of model and loss in the end.
        qualities: (step, quality) of every evaluation.
        left_out: Steps that fp16 left out.
    """

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    gradients: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    qualities: list[tuple[int, float]] = field(default_factory=list)
    left_out: int = 0

    def note(self, execution: Any) -> None:
        """Note the gradients of a step that is about to be done."""
        scale = execution.precision.scaler.get_scale() if execution.precision.scales else 1.0
        pairs = zip(execution.names, execution.parameters, strict=True)
        slopes = {name: p.grad for name, p in pairs if p.grad is not None}
        norms = torch.stack(execution.norms(list(slopes.values())))
        self.norms.append(float(torch.linalg.vector_norm(norms)) / scale)
        if not self.gradients:
            self.gradients = {name: _whole(grad) / scale for name, grad in slopes.items()}


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor.clone()


def trace(make: Make, layout: Parallel | None = None, folder: Path | None = None) -> Trace:
    """Train what `make` makes in this process, or together with the other ranks of its group.

    Args:
        make: Makes the training.
        layout: How ranks share it; None = as its setup says.
        folder: Where checkpoints go.
    """
    made, seen = make(), Trace()
    setup = made.setup if layout is None else replace(made.setup, parallel=layout)

    def observed(model: nn.Module, loss: Loss, setup: TrainSetup) -> Execution:
        execution: Any = make_execution(model, loss, setup)
        real = execution.step

        def step(factor: float) -> bool:
            seen.note(execution)
            return bool(real(factor))

        execution.step = step
        return execution  # type: ignore[no-any-return]

    fitted = fit(
        made.model,
        made.data,
        made.loss,
        setup,
        evaluate=made.evaluate,
        keep_best=made.keep_best,
        folder=folder,
        execute=observed,
    )
    seen.losses, seen.qualities, seen.left_out = fitted.losses, fitted.qualities, fitted.left_out
    weights = {f"loss.{name}": tensor for name, tensor in made.loss.state_dict().items()}
    weights |= made.model.state_dict()
    seen.weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
    return seen


@dataclass(frozen=True)
class Difference:
    """By how much a layout differs from one process, in the rank where it is most.

    Attributes:
        layout: The layout.
        gradient: Largest error of a gradient of the first step.
        weights: Largest error of a weight in the end.
        loss: Largest relative error of a loss.
        norm: Largest relative error of a gradient's norm.
        quality: Largest error of an evaluation.
        worst: The tensors with the largest errors.
    """

    layout: Parallel
    gradient: float
    weights: float
    loss: float
    norm: float
    quality: float
    worst: str

    def exact(self, gradient: float = 1e-12, weights: float = 1e-10) -> bool:
        """Whether it is rounding: losses, norms and qualities are held to `weights` too."""
        others = max(self.weights, self.loss, self.norm, self.quality)
        return self.gradient <= gradient and others <= weights

    def require_exact(self, gradient: float = 1e-12, weights: float = 1e-10) -> None:
        """Refuse a difference that is more than rounding.

        Raises:
            AssertionError: It is; the message names the layout and the tensors.
        """
        if not self.exact(gradient, weights):
            raise AssertionError(
                f"{self.layout} does not give what one process gives: errors of gradient "
                f"{self.gradient:.2g}, weights {self.weights:.2g}, loss {self.loss:.2g}, norm "
                f"{self.norm:.2g}, quality {self.quality:.2g}; most in {self.worst}"
            )


def compare_layouts(
    make: Make, layouts: Sequence[Parallel], *args: Any, seconds: float = 120.0
) -> list[Difference]:
    """Train in each layout and in one process, and compare.

    Args:
        make: Makes the training; importable, called in each rank.
        layouts: Each with its number of ranks (`data`).
        args: Arguments of `make`.
        seconds: How long all layouts of one number of ranks may take.

    Returns:
        The difference of each layout, in their order.

    Raises:
        RankFailed: A rank raised, died or hung.
    """
    bound = functools.partial(make, *args) if args else make
    expected = trace(bound, Parallel())
    found: dict[Parallel, Difference] = {}
    for count in sorted({layout.data for layout in layouts}):
        alike = [layout for layout in layouts if layout.data == count]
        each = on_ranks(count, _differences, bound, alike, expected, seconds=seconds)
        for layout, ranks in zip(alike, zip(*each, strict=True), strict=True):
            found[layout] = max(ranks, key=lambda one: (one.gradient, one.weights))
    return [found[layout] for layout in layouts]


def _differences(make: Make, layouts: Sequence[Parallel], expected: Trace) -> list[Difference]:
    return [difference(layout, trace(make, layout), expected) for layout in layouts]


def difference(layout: Parallel, ours: Trace, expected: Trace) -> Difference:
    """By how much two traces differ; infinitely where they are not of the same things."""
    largest = max((float(g.abs().max()) for g in expected.gradients.values()), default=1.0)
    slopes = _errors(ours.gradients, expected.gradients, lambda tensor: largest)
    weights = _errors(ours.weights, expected.weights, lambda t: max(1.0, float(t.abs().max())))
    worst = [max(errors, key=errors.__getitem__) for errors in (slopes, weights) if errors]
    return Difference(
        layout,
        gradient=max(slopes.values(), default=0.0),
        weights=max(weights.values(), default=0.0),
        loss=_relative(ours.losses, expected.losses),
        norm=_relative(ours.norms, expected.norms),
        quality=_relative(
            *([q for pair in one.qualities for q in pair] for one in (ours, expected))
        ),
        worst=", ".join(dict.fromkeys(worst)),
    )


def _errors(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], scale: Callable[[Tensor], float]
) -> dict[str, float]:
    """The error of each tensor; NaN counts as infinite."""
    errors = {name: float("inf") for name in ours.keys() ^ theirs.keys()}
    for name in ours.keys() & theirs.keys():
        a, b = ours[name], theirs[name]
        if not a.numel() and not b.numel():
            errors[name] = 0.0
        elif a.shape != b.shape or a.dtype != b.dtype:
            errors[name] = float("inf")
        else:
            a, b = a.double(), b.double()
            found = float((a - b).abs().max()) / scale(b)
            errors[name] = found if found == found else float("inf")
    return errors


def _relative(ours: Sequence[float], theirs: Sequence[float]) -> float:
    if len(ours) != len(theirs):
        return float("inf")
    pairs = zip(ours, theirs, strict=True)
    return max((abs(a - b) / max(abs(b), 1e-300) for a, b in pairs if a != b), default=0.0)
