"""Lottery tickets, as a step: prune, rewind the weights, train again, compare with controls.

`leanformer.prune.masks.tickets` has the search itself; here each training is a `finetune` or
`distill` step on the texts of the task. Each training has a folder of its own with its result, so
that a killed run resumes where it stopped.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from leanformer.core import codec
from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Count, InnerShare, PartialShare
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.models.anatomy import require_prunable
from leanformer.models.anatomy.linear_maps import linear_maps
from leanformer.prune.criteria.weights import WeightMagnitude
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.masks.tickets import Control, Restart, Tickets, kept_share
from leanformer.prune.patterns import Unstructured
from leanformer.prune.shares import record_shares
from leanformer.train.checkpoints import checkpoint
from leanformer.train.steps.trained import Training


@technique(
    "lottery",
    paper="Frankle & Carbin 2019, arXiv:1803.03635; Frankle et al. 2020, arXiv:1912.05671; "
    "Renda et al. 2020, arXiv:2003.02389",
)
class Lottery(Step):
    """Prune, rewind the weights to an early step, train again, and compare with controls."""

    by: Training
    """The training of each round, `distill` or `finetune`."""
    rounds: Count = 5
    """How often weights are removed."""
    prune_fraction: InnerShare = 0.2
    """Share of the remaining weights that each round removes."""
    rewind: PartialShare = 0.05
    """The step whose weights are restored, as a share of the steps; 0 = the first."""
    restart: Restart = "weights"
    """What is rewound: weights and learning rate, or the learning rate alone."""
    controls: tuple[Control, ...] = ()
    """Controls that are trained beside each ticket."""

    def __post_init__(self) -> None:
        if not isinstance(self.by, Training):
            raise ValueError(f"by: {self.by} does not train; use distill or finetune")
        self._tickets()

    def _tickets(self) -> Tickets:
        return Tickets(
            rounds=self.rounds,
            prune_fraction=self.prune_fraction,
            rewind=self.rewind,
            restart=self.restart,
            controls=self.controls,
        )

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the layers stay."""
        return self.by.foresee(sketch)

    def apply(self, workspace: Workspace) -> Workspace:
        """Find the ticket of the last round; the model ends trained, with zeros.

        Raises:
            ValueError: The architecture is unknown or built of other layers, the model is
                quantized, or a folder holds another search.
            NoEffect: The ticket is less sparse than asked for.
        """
        model = workspace.model
        require_prunable(model)
        linears = linear_maps(model, (), "lottery")
        if others := [name for name, one in linears.items() if not isinstance(one, nn.Linear)]:
            raise ValueError(
                f"lottery: {others[0]} is not an nn.Linear; use sparse-gpt, which accepts it"
            )
        pattern, criterion = Unstructured(), WeightMagnitude()
        layers = {name: MaskedLinear(one, pattern, criterion) for name, one in linears.items()}
        for name, layer in layers.items():
            model.set_submodule(name, layer)
        train = partial(self._train, workspace, layers)
        early = workspace.folder / "checkpoint" / "rewind"
        before, quality = self._tickets().search(model, layers, early, train, workspace.seed)
        for name, layer in layers.items():
            model.set_submodule(name, layer.as_linear())
        proofs = require(self._proofs(workspace, layers, before, quality))
        return workspace.with_(proofs=tuple(proofs))

    def _train(
        self, workspace: Workspace, layers: dict[str, MaskedLinear], number: int, way: str
    ) -> float:
        """Train the model as it is, or load the result of an earlier run; its quality on dev."""
        place = workspace.folder / "checkpoint" / f"round-{number:02}-{way}"
        found = checkpoint.load(place / "done")
        if found is not None:
            groups, state = found
            if state["step"] != codec.encode(self):
                raise ValueError(
                    f"{place} holds a lottery with other settings; remove {place.parent} to begin "
                    "anew"
                )
            checkpoint.load_weights(workspace.model, groups["model"], place / "done")
            return float(state["quality"])
        by: Any = self.by
        train = replace(by.train, start_fraction=self.rewind if number else 0.0)
        done = replace(by, train=train, load_best_at_end=False, require_improvement=False).apply(
            workspace.with_(folder=place)
        )
        quality = done.proofs[0].after
        state = {"step": codec.encode(self), "quality": quality}
        checkpoint.save(place / "done", {"model": checkpoint.weights(workspace.model)}, state)
        workspace.record.write(
            "ticket",
            model=workspace.name,
            round=number,
            way=way,
            kept=kept_share(layers),
            quality=quality,
        )
        return quality

    def _proofs(
        self, workspace: Workspace, layers: dict[str, MaskedLinear], before: float, after: float
    ) -> list[Proof]:
        weights = {name: workspace.model.get_submodule(name).weight for name in layers}
        record_shares(workspace, weights)
        total = sum(weight.numel() for weight in weights.values())
        kept = sum(int(weight.count_nonzero()) for weight in weights.values())
        asked = (1 - self.prune_fraction) ** self.rounds * total
        metric = workspace.dataset.task.metric
        return [
            Proof(
                claim=f"{metric} on dev",
                before=before,
                after=after,
                unit="",
                ok=True,
                note="the dense model, trained in the same way, and the ticket",
            ),
            Proof(
                claim="weights of the layers that are not zero",
                before=total,
                after=kept,
                unit="",
                asked=asked,
                ok=kept <= asked + len(weights),
                note=f"{len(weights)} matrices, {1 - kept / total:.2%} sparse",
            ),
        ]
