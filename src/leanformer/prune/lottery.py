"""Lottery tickets: a sparse network that, put back to an early step, trains as well as the whole.

    train θ_0 → θ_T, noting θ_k;   each round:  m ← the largest of |θ_T| that survive
                                                θ ← m ⊙ θ_k,  train from step k to T

`rewind` is k as a share of the steps: 0 is the first paper's, back to the beginning; a little more
(late rewinding) is what works for networks of some depth. Schedule and order of the data begin at k
too. `restart = "rate"` leaves the weights as they were trained and puts only the learning rate
back. Weights of the layers' linear maps are ranked together.

A ticket is one only beside its controls, which are trained alike in each round:

    random-weights    the same mask on weights drawn anew (of the same spread)
    random-mask       the same weights, as many of each matrix kept at random
    signs             the same mask on ± one size for each matrix, the signs those of θ_k

What is trained is kept in a folder a training, so that a killed run goes on where it was.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leanformer.core import codec
from leanformer.core.step import Proof, Step, require
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.models.anatomy import cuttable
from leanformer.models.linear_maps import linear_maps
from leanformer.prune.masked import Masked
from leanformer.prune.pattern import kept_units
from leanformer.prune.patterns import Unstructured
from leanformer.prune.saliencies import WeightMagnitude
from leanformer.train import checkpoint
from leanformer.train.follower import Follower
from leanformer.train.trained import Training

Control = Literal["random-weights", "random-mask", "signs"]
Weights = dict[str, Tensor]


class Snapshot(Follower):
    """Holds removed weights at zero, and writes the weights of one step of a training down."""

    def __init__(self, model: nn.Module, layers: dict[str, Masked], at: float, place: Path) -> None:
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


@technique(
    "lottery",
    paper="Frankle & Carbin 2019, arXiv:1803.03635; Frankle et al. 2020, arXiv:1912.05671; "
    "Renda et al. 2020, arXiv:2003.02389",
)
class Lottery(Step):
    """Prune, put the weights back to an early step, train again; and compare with controls."""

    by: Training
    """The training of each round, `distill` or `finetune`."""
    rounds: int = 5
    """How often weights are removed."""
    remove: float = 0.2
    """Share of the weights that are left which goes in each round."""
    rewind: float = 0.05
    """The step that weights are put back to, as a share of the steps; 0 = the first."""
    restart: Literal["weights", "rate"] = "weights"
    """What is put back: weights and learning rate, or the learning rate alone."""
    controls: tuple[Control, ...] = ()
    """What is trained beside each ticket."""

    def __post_init__(self) -> None:
        if not isinstance(self.by, Training):
            raise ValueError(f"by: {self.by} does not train; use distill or finetune")
        if self.rounds < 1:
            raise ValueError(f"rounds: {self.rounds} is not at least 1")
        if not 0 < self.remove < 1:
            raise ValueError(f"remove: {self.remove} is not a share of the weights in (0, 1)")
        if not 0 <= self.rewind < 1:
            raise ValueError(f"rewind: {self.rewind} is not a share of the steps in [0, 1)")

    def apply(self, workspace: Workspace) -> Workspace:
        """Find the ticket of the last round; it is left trained, with zeros.

        Raises:
            ValueError: The architecture is not known or built of other layers, the model rounds
                already, or a folder holds another search.
            NoEffect: The ticket has not the sparsity that was asked for.
        """
        model = workspace.model
        cuttable(model)
        linears = linear_maps(model, (), "lottery")
        if others := [name for name, one in linears.items() if not isinstance(one, nn.Linear)]:
            raise ValueError(f"lottery: {others[0]} is no nn.Linear; sparse-gpt prunes it")
        pattern, saliency = Unstructured(), WeightMagnitude()
        layers = {name: Masked(one, pattern, saliency) for name, one in linears.items()}
        for name, layer in layers.items():
            model.set_submodule(name, layer)
        early = workspace.folder / "checkpoint" / "rewind"
        model.add_module("snapshot", Snapshot(model, layers, self.rewind, early))
        before = self._train(workspace, layers, 0, "dense")
        quality = before
        for number in range(1, self.rounds + 1):
            self._prune(layers, (1 - self.remove) ** number)
            found = checkpoint.load(early)
            assert found is not None, "the first training wrote it"
            start = found[0]["model"]
            masks = {name: layer.kept.clone() for name, layer in layers.items()}
            if self.restart == "weights":
                put(model, start, masks)
            quality = self._train(workspace, layers, number, "ticket")
            ticket = {key: tensor.clone() for key, tensor in checkpoint.weights(model).items()}
            for control in self.controls:
                put(model, *controlled(control, start, masks, workspace.seed + number))
                self._train(workspace, layers, number, control)
            model.load_state_dict(ticket, strict=False)
        delattr(model, "snapshot")
        for name, layer in layers.items():
            model.set_submodule(name, layer.plain())
        proofs = require(self._proofs(workspace, layers, before, quality))
        return workspace.with_(proofs=tuple(proofs))

    def _prune(self, layers: dict[str, Masked], keep: float) -> None:
        """Remove the smallest weights of all layers together, of those that are left."""
        scores = [
            layer.weight.detach().abs().masked_fill(~layer.kept, -torch.inf)
            for layer in layers.values()
        ]
        chosen = kept_units(Unstructured(), scores, keep, "global")
        for layer, kept_OI in zip(layers.values(), chosen, strict=True):
            layer.kept.copy_(kept_OI)

    def _train(
        self, workspace: Workspace, layers: dict[str, Masked], number: int, way: str
    ) -> float:
        """Train what the model holds, unless an earlier run did; its quality on dev."""
        place = workspace.folder / "checkpoint" / f"round-{number:02}-{way}"
        found = checkpoint.load(place / "done")
        if found is not None:
            groups, state = found
            if state["step"] != codec.encode(self):
                raise ValueError(
                    f"{place} holds a lottery with other settings; remove {place.parent} to begin "
                    "anew"
                )
            workspace.model.load_state_dict(groups["model"], strict=False)
            return float(state["quality"])
        by: Any = self.by
        train = replace(by.train, start=self.rewind if number else 0.0)
        done = replace(by, train=train, choose="last", regain=False).apply(
            workspace.with_(folder=place)
        )
        quality = done.proofs[0].after
        kept = sum(int(layer.kept.sum()) for layer in layers.values())
        total = sum(layer.kept.numel() for layer in layers.values())
        state = {"step": codec.encode(self), "quality": quality}
        checkpoint.save(place / "done", {"model": checkpoint.weights(workspace.model)}, state)
        workspace.record.write(
            "ticket",
            model=workspace.name,
            round=number,
            way=way,
            kept=kept / total,
            quality=quality,
        )
        return quality

    def _proofs(
        self, workspace: Workspace, layers: dict[str, Masked], before: float, after: float
    ) -> list[Proof]:
        weights = [workspace.model.get_submodule(name).weight for name in layers]
        total = sum(weight.numel() for weight in weights)
        kept = sum(int(weight.count_nonzero()) for weight in weights)
        asked = (1 - self.remove) ** self.rounds * total
        metric = workspace.dataset.task.metric
        return [
            Proof(
                claim=f"{metric} on dev",
                before=before,
                after=after,
                unit="",
                ok=True,
                note="the whole model trained alike, and the ticket",
            ),
            Proof(
                claim="weights of the layers that are not zero",
                before=total,
                after=kept,
                unit="",
                asked=asked,
                ok=kept <= asked + len(weights),
                note=f"{len(weights)} matrices, {kept / total:.2%} kept",
            ),
        ]


def put(model: nn.Module, weights: Weights, masks: Weights) -> None:
    """Put `weights` into the model, and `masks` into its masked layers."""
    kept = {f"{name}.kept": mask for name, mask in masks.items()}
    model.load_state_dict({**weights, **kept}, strict=False)


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
