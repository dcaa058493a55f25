"""Lottery tickets: a sparse network that, rewound to an early step, trains as well as the dense.

    train θ_0 → θ_T, noting θ_k;   each round:  m ← the largest of |θ_T| that survive
                                                θ ← m ⊙ θ_k,  train from step k to T

`rewind` is k as a share of the steps. The first paper rewinds to the beginning (0); deeper networks
need a little more (late rewinding). The learning rate schedule and the order of the data restart at
k too. `restart = "rate"` keeps the trained weights and rewinds only the learning rate. The weights
of all masked layers are ranked together.

Example: 3 rounds with `prune_fraction = 0.2` keep 0.8, 0.64 and 0.512 of the weights.

A ticket is evidence only against controls, which are trained in the same way in each round:

    random-weights    the same mask; weights drawn anew with the same standard deviation
    random-mask       the same weights; a random mask of the same sparsity in each matrix
    signs             the same mask; ± the standard deviation of the matrix, with the signs of θ_k

The caller trains the model; `leanformer.prune.lottery` does it as a step of a recipe.

Legend: O out, I in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from leanformer.core.ranges import Count, InnerShare, PartialShare, ranged
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.pattern import kept_units
from leanformer.prune.patterns import Unstructured
from leanformer.train.checkpoints import checkpoint
from leanformer.train.scheduled_module import ScheduledModule

Control = Literal["random-weights", "random-mask", "signs"]
Restart = Literal["weights", "rate"]
Weights = dict[str, Tensor]
Train = Callable[[int, str], float]
"""Trains the model as it is, from step k unless the round is 0, and returns its quality."""


@dataclass(frozen=True, kw_only=True)
@ranged
class Tickets:
    """A search for tickets.

    Attributes:
        rounds: How often weights are removed.
        prune_fraction: Share of the remaining weights that each round removes.
        rewind: The step whose weights are restored, as a share of the steps; 0 = the first.
        restart: What is rewound: weights and learning rate, or the learning rate alone.
        controls: Controls that are trained beside each ticket.

    Raises:
        ValueError: A number is out of its range.
    """

    rounds: Count
    prune_fraction: InnerShare
    rewind: PartialShare
    restart: Restart = "weights"
    controls: tuple[Control, ...] = ()

    def search(
        self,
        model: nn.Module,
        layers: Mapping[str, MaskedLinear],
        early: Path,
        train: Train,
        seed: int,
    ) -> tuple[float, float]:
        """Search; returns the quality of the dense model and of the last ticket.

        The model ends with the weights and masks of the last ticket.

        Args:
            model: The model to train.
            layers: Its masked layers, by name.
            early: Folder for the weights of step k.
            train: Called with the round, 0 = nothing is removed yet, and with what is trained:
                "dense", "ticket" or a control.
            seed: Seed of the controls.
        """
        model.add_module("snapshot", Snapshot(model, layers, self.rewind, early))
        before = quality = train(0, "dense")
        for number in range(1, self.rounds + 1):
            remove_smallest(layers, 1 - (1 - self.prune_fraction) ** number)
            found = checkpoint.load(early)
            assert found is not None, "the first training wrote it"
            start = found[0]["model"]
            masks = {name: layer.kept.clone() for name, layer in layers.items()}
            if self.restart == "weights":
                put(model, start, masks)
            quality = train(number, "ticket")
            ticket = {key: tensor.clone() for key, tensor in checkpoint.weights(model).items()}
            for control in self.controls:
                put(model, *controlled(control, start, masks, seed + number))
                train(number, control)
            checkpoint.load_weights(model, ticket, "the ticket")
        delattr(model, "snapshot")
        return before, quality


class Snapshot(ScheduledModule):
    """Holds removed weights at zero, and saves the weights of one step of the training."""

    def __init__(
        self, model: nn.Module, layers: Mapping[str, MaskedLinear], at: float, place: Path
    ) -> None:
        """A snapshot of `model`, to be added to it as a submodule.

        Args:
            model: The model to train.
            layers: Its masked layers.
            at: When to save, as a share of the steps.
            place: Folder to save to, unless it exists.
        """
        super().__init__()
        # plain containers: no submodules, and so not saved twice
        self.model, self.layers = [model], dict(layers)
        self.at, self.place = at, place

    @torch.no_grad()
    def update(self, step: int, steps: int) -> None:
        """See `ScheduledModule.update`."""
        for layer in self.layers.values():
            layer.weight.mul_(layer.kept)
        if step == round(self.at * steps) and not self.place.exists():
            checkpoint.save(self.place, {"model": checkpoint.weights(self.model[0])}, {})


def remove_smallest(layers: Mapping[str, MaskedLinear], sparsity: float) -> None:
    """Mask the smallest remaining weights, ranked over all layers together.

    Args:
        layers: Masked layers.
        sparsity: Share of all weights that is masked afterwards.
    """
    scores = [
        layer.weight.detach().abs().masked_fill(~layer.kept, -torch.inf)
        for layer in layers.values()
    ]
    chosen = kept_units(Unstructured(), scores, sparsity, "global")
    for layer, kept_OI in zip(layers.values(), chosen, strict=True):
        layer.kept.copy_(kept_OI)


def kept_share(layers: Mapping[str, MaskedLinear]) -> float:
    """Share of the weights of masked layers that is kept."""
    masks = [layer.kept for layer in layers.values()]
    return sum(int(kept_OI.sum()) for kept_OI in masks) / sum(kept_OI.numel() for kept_OI in masks)


def put(model: nn.Module, weights: Weights, masks: Weights) -> None:
    """Load `weights` into the model, and `masks` into its masked layers."""
    kept = {f"{name}.kept": mask for name, mask in masks.items()}
    checkpoint.load_weights(model, {**weights, **kept}, "the weights of the early step")


def controlled(
    control: Control, weights: Weights, masks: Weights, seed: int
) -> tuple[Weights, Weights]:
    """Weights and masks of a control, made from those of the ticket."""
    generator = torch.Generator().manual_seed(seed)
    weights, masks = dict(weights), dict(masks)
    for name, kept_OI in masks.items():
        weight_OI = weights[f"{name}.weight"]
        if control == "random-mask":
            order = torch.randperm(kept_OI.numel(), generator=generator)
            masks[name] = kept_OI.flatten()[order].reshape(kept_OI.shape)
        elif control == "random-weights":
            drawn_OI = torch.randn(weight_OI.shape, generator=generator)
            weights[f"{name}.weight"] = drawn_OI * weight_OI.std()
        else:
            weights[f"{name}.weight"] = weight_OI.sign() * weight_OI.std()
    return weights, masks
