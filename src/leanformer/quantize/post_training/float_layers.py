"""Which layers lose most in int8, and how few must stay in floating point so that a quality holds.

    loss of a layer    ‖FQ(x) FQ(W)ᵀ - x Wᵀ‖² / ‖x Wᵀ‖²      rounded alone, on real texts
    worst first        l_1 ≥ l_2 ≥ l_3 ≥ …
    in float the first k:   k = 0, 1, 2, 4, 8, … until quality ≥ asked, then bisect

A layer's loss says which layer to try first. What the task loses is measured, on the graph that
will run. Quality need not grow with every layer that stays in floating point, so k is the smallest
that was tried and held, and the next smaller k that was tried did not hold.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from leanformer.calibrate.ranges import Range, observe_ranges, observe_rows
from leanformer.core.proof import NoEffect
from leanformer.core.workspace import Workspace
from leanformer.data import Encoded, encode_examples
from leanformer.numerics.grid import fake_quantize, row_grid
from leanformer.train.evaluate import outputs, quality

Outputs = list[NDArray[Any]]
"""One array per text."""


def most_sensitive_layers(workspace: Workspace, batches: list[dict[str, Tensor]]) -> list[str]:
    """Names of the linear layers, those first that lose most in int8 alone.

    The losses go to the record as the event `losses_by_layer`.

    Args:
        workspace: Its model is in floating point.
        batches: Real inputs of the model.
    """
    model = workspace.model
    ranges = observe_ranges(model, batches)
    losses = quantization_loss(model, ranges, batches)
    rows = [
        {
            "layer": layer,
            "loss": loss,
            "low": ranges[layer].low,
            "high": ranges[layer].high,
            "weight": float(model.get_submodule(layer).weight.detach().abs().max()),
        }
        for layer, loss in losses
    ]
    workspace.record.write("losses_by_layer", model=workspace.name, rows=rows)
    return [layer for layer, _ in losses]


def float_layers_for(
    workspace: Workspace,
    layers: Sequence[str],
    share: float,
    max_length: int,
    answers: Callable[[tuple[str, ...], Encoded], Outputs],
) -> tuple[str, ...]:
    """The fewest of `layers`, from the first on, that must stay in floating point.

    Args:
        workspace: Its model in floating point sets the quality, its dev split is judged on.
        layers: Names of linear layers, most sensitive first.
        share: Of the model's quality that must stay, in (0, 1].
        max_length: Longer texts are cut to this many tokens.
        answers: Outputs of the int8 model with these layers in floating point.

    Raises:
        NoEffect: No number of layers reaches the quality.
    """
    task, dev = workspace.dataset.task, workspace.dataset.dev
    encoded = encode_examples(dev, workspace.tokenizer, task.kind, max_length)
    exact = outputs(workspace.model, encoded, task.kind, precision="fp32")
    targets = np.stack(exact) if task.about.output == "vector" else None
    asked = share * quality(exact, encoded, task, targets)

    def holds(count: int) -> bool:
        chosen = tuple(layers[:count])
        found = quality(answers(chosen, encoded), encoded, task, targets)
        workspace.record.write(
            "kept_float", model=workspace.name, layers=chosen, quality=found, asked=asked
        )
        return found >= asked

    count = fewest_float_layers(len(layers) - 1, holds)
    if count is None:
        raise NoEffect(
            f"keep: with all but one of {len(layers)} layers in floating point dev does not "
            f"reach {asked:.4f}; ask for less, or train the model to round (quantize-aware)"
        )
    return tuple(layers[:count])


def quantization_loss(
    model: nn.Module, ranges: dict[str, Range], batches: Iterable[dict[str, Tensor]]
) -> list[tuple[str, float]]:
    """Relative output error of each layer when only it is in int8, worst first.

    ‖FQ(x) FQ(W)ᵀ - x Wᵀ‖² / ‖x Wᵀ‖² over all real tokens of `batches`.
    """
    linears: dict[str, Any] = {name: model.get_submodule(name) for name in ranges}
    weights = {n: fake_quantize(m.weight, row_grid(m.weight)) for n, m in linears.items()}
    grids = {name: found.grid() for name, found in ranges.items()}
    sums = {name: [0.0, 0.0] for name in ranges}

    def compare(name: str, x_NI: Tensor) -> None:
        exact = x_NI @ linears[name].weight.T
        error = fake_quantize(x_NI, grids[name]) @ weights[name].T - exact
        sums[name][0] += float(error.square().sum())
        sums[name][1] += float(exact.square().sum())

    observe_rows(model, linears, list(batches), compare)
    losses = [(name, error / max(total, 1e-30)) for name, (error, total) in sums.items()]
    return sorted(losses, key=lambda pair: pair[1], reverse=True)


def fewest_float_layers(most: int, holds: Callable[[int], bool]) -> int | None:
    """The smallest k of 0 … `most` found to hold; None where none that was tried does.

    Args:
        most: The largest k.
        holds: Whether the quality holds with the first k layers in floating point; called about
            2 log2(most) times, never twice with the same k.
    """
    if holds(0):
        return 0
    failed, tried = 0, 1
    while not holds(min(tried, most)):
        if tried >= most:
            return None
        failed, tried = tried, 2 * tried
    held = min(tried, most)
    while held - failed > 1:
        middle = (held + failed) // 2
        failed, held = (failed, middle) if holds(middle) else (middle, held)
    return held
