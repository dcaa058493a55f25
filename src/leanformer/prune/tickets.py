"""Lottery tickets: a sparse network that, put back to an early step, trains as well as the whole.

    train θ_0 → θ_T, noting θ_k;   each round:  m ← the largest of |θ_T| that survive
                                                θ ← m ⊙ θ_k,  train from step k to T

`rewind` is k as a share of the steps: 0 is the first paper's, back to the beginning; a little more
(late rewinding) is what works for networks of some depth. Schedule and order of the data begin at k
too. `restart = "rate"` leaves the weights as they were trained and puts only the learning rate
back. Weights of the masked layers are ranked together.

A ticket is one only beside its controls, which are trained alike in each round:

    random-weights    the same mask on weights drawn anew (of the same spread)
    random-mask       the same weights, as many of each matrix kept at random
    signs             the same mask on ± one size for each matrix, the signs those of θ_k

How a model is trained is not said here; `leanformer.prune.lottery` does it as a step of a recipe.

Legend: O out, I in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from leanformer.prune.masked import Masked
from leanformer.prune.pattern import kept_units
from leanformer.prune.patterns import Unstructured
from leanformer.train import checkpoint
from leanformer.train.follower import Follower

Control = Literal["random-weights", "random-mask", "signs"]
Restart = Literal["weights", "rate"]
Weights = dict[str, Tensor]
Train = Callable[[int, str], float]
"""Trains what the model holds, from step k unless the round is 0, and gives its quality."""


@dataclass(frozen=True, kw_only=True)
class Tickets:
    """A search for tickets.

    Attributes:
        rounds: How often weights are removed.
        remove: Share of the weights that are left which goes in each round.
        rewind: The step that weights are put back to, as a share of the steps; 0 = the first.
        restart: What is put back: weights and learning rate, or the learning rate alone.
        controls: What is trained beside each ticket.

    Raises:
        ValueError: A number is out of its range.
    """

    rounds: int
    remove: float
    rewind: float
    restart: Restart = "weights"
    controls: tuple[Control, ...] = ()

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds: {self.rounds} is not at least 1")
        if not 0 < self.remove < 1:
            raise ValueError(f"remove: {self.remove} is not a share of the weights in (0, 1)")
        if not 0 <= self.rewind < 1:
            raise ValueError(f"rewind: {self.rewind} is not a share of the steps in [0, 1)")

    def search(
        self, model: nn.Module, layers: Mapping[str, Masked], early: Path, train: Train, seed: int
    ) -> tuple[float, float]:
        """Quality of the whole model and of the last ticket, which the model is left with.

        Args:
            model: What is trained.
            layers: Its masked layers, by name.
            early: Folder for the weights of step k.
            train: Called with the number of the round, 0 = nothing is removed yet, and the name of
                what is trained: "dense", "ticket" or a control.
            seed: Decides what controls draw.
        """
        model.add_module("snapshot", Snapshot(model, layers, self.rewind, early))
        before = quality = train(0, "dense")
        for number in range(1, self.rounds + 1):
            remove_smallest(layers, (1 - self.remove) ** number)
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


class Snapshot(Follower):
    """Holds removed weights at zero, and writes the weights of one step of a training down."""

    def __init__(
        self, model: nn.Module, layers: Mapping[str, Masked], at: float, place: Path
    ) -> None:
        """Follow the training of `model`, of which this becomes a part.

        Args:
            model: What is trained.
            layers: Its masked layers.
            at: Share of the steps.
            place: Folder to write to, once.
        """
        super().__init__()
        # plain containers: no submodules, and so not saved twice
        self.model, self.layers = [model], dict(layers)
        self.at, self.place = at, place

    @torch.no_grad()
    def follow(self, step: int, steps: int) -> None:
        """See `Follower.follow`."""
        for layer in self.layers.values():
            layer.weight.mul_(layer.kept)
        if step == round(self.at * steps) and not self.place.exists():
            checkpoint.save(self.place, {"model": checkpoint.weights(self.model[0])}, {})


def remove_smallest(layers: Mapping[str, Masked], keep: float) -> None:
    """Remove the smallest weights of all layers together, of those that are left.

    Args:
        layers: Masked layers.
        keep: Share of all weights that stay.
    """
    scores = [
        layer.weight.detach().abs().masked_fill(~layer.kept, -torch.inf)
        for layer in layers.values()
    ]
    chosen = kept_units(Unstructured(), scores, keep, "global")
    for layer, kept_OI in zip(layers.values(), chosen, strict=True):
        layer.kept.copy_(kept_OI)


def kept_share(layers: Mapping[str, Masked]) -> float:
    """Share of the weights of masked layers that are left."""
    masks = [layer.kept for layer in layers.values()]
    return sum(int(kept_OI.sum()) for kept_OI in masks) / sum(kept_OI.numel() for kept_OI in masks)


def put(model: nn.Module, weights: Weights, masks: Weights) -> None:
    """Put `weights` into the model, and `masks` into its masked layers."""
    kept = {f"{name}.kept": mask for name, mask in masks.items()}
    checkpoint.load_weights(model, {**weights, **kept}, "the weights of the early step")


def controlled(
    control: Control, weights: Weights, masks: Weights, seed: int
) -> tuple[Weights, Weights]:
    """Weights and masks of a control, from those that a ticket begins with."""
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
