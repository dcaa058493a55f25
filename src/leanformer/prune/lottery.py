"""Lottery tickets as a step: prune, put the weights back, train again, and compare with controls.

The search itself is told in `leanformer.prune.tickets`; here each training is a step's own, of the
task's texts. What is trained is kept in a folder a training, so that a killed run goes on where it
was.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from leanformer.core import codec
from leanformer.core.proof import Proof, require
from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.models.anatomy import cuttable
from leanformer.models.linear_maps import linear_maps
from leanformer.prune.masked import Masked
from leanformer.prune.patterns import Unstructured
from leanformer.prune.saliencies import WeightMagnitude
from leanformer.prune.shares import record_shares
from leanformer.prune.tickets import Control, Restart, Tickets, kept_share
from leanformer.train import checkpoint
from leanformer.train.trained import Training


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
    restart: Restart = "weights"
    """What is put back: weights and learning rate, or the learning rate alone."""
    controls: tuple[Control, ...] = ()
    """What is trained beside each ticket."""

    def __post_init__(self) -> None:
        if not isinstance(self.by, Training):
            raise ValueError(f"by: {self.by} does not train; use distill or finetune")
        self._tickets()

    def _tickets(self) -> Tickets:
        return Tickets(
            rounds=self.rounds,
            remove=self.remove,
            rewind=self.rewind,
            restart=self.restart,
            controls=self.controls,
        )

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
        train = partial(self._train, workspace, layers)
        early = workspace.folder / "checkpoint" / "rewind"
        before, quality = self._tickets().search(model, layers, early, train, workspace.seed)
        for name, layer in layers.items():
            model.set_submodule(name, layer.plain())
        proofs = require(self._proofs(workspace, layers, before, quality))
        return workspace.with_(proofs=tuple(proofs))

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
        train = replace(by.train, start_fraction=self.rewind if number else 0.0)
        done = replace(by, train=train, choose="last", regain=False).apply(
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
        self, workspace: Workspace, layers: dict[str, Masked], before: float, after: float
    ) -> list[Proof]:
        weights = {name: workspace.model.get_submodule(name).weight for name in layers}
        record_shares(workspace, weights)
        total = sum(weight.numel() for weight in weights.values())
        kept = sum(int(weight.count_nonzero()) for weight in weights.values())
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
