"""Efficient attention as a step: the layers of a model attend by a mechanism from here on."""

from dataclasses import field
from typing import Any

from leanformer.attention.bench.exchanged import MEANING
from leanformer.attention.hf.attach import attach, attached
from leanformer.attention.mechanism import Mechanism
from leanformer.attention.patterns import SlidingWindow
from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Index
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.models.attention.probe import calls_of


@technique("attend", paper="Tay et al. 2022 (Efficient Transformers: A Survey), arXiv:2009.06732")
class Attend(Step):
    """Replace dense attention, whose cost grows with the square of the length."""

    mechanism: Mechanism = field(default_factory=SlidingWindow)
    """What attends instead."""
    layers: tuple[Index, ...] | None = None
    """Numbers of the attention layers; None = all that attend to everything they may."""

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: layers that are named are there."""
        if sketch.model is not None and self.layers is not None:
            count = sketch.model.config.num_hidden_layers
            if wrong := [layer for layer in self.layers if layer >= count]:
                raise ValueError(
                    f"layers: there is no layer {wrong[0]}; the model has {count} attention "
                    f"layers, 0 to {count - 1}"
                )
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Put the mechanism in; the weights stay. A note says what that does to a trained model: a
        step that trains should follow, unless the model keeps its quality.

        Raises:
            ValueError: The model or a layer cannot have it; the message says why.
            NoEffect: A layer that was changed does not run the mechanism.
        """
        done = attach(workspace.model, self.mechanism, layers=self.layers)
        running = _running(workspace.model)
        proofs = [
            Proof(
                claim="attention layers that run the mechanism",
                before=0,
                after=running,
                asked=len(done.layers),
                unit="layers",
                ok=running == len(attached(workspace.model)),
            ),
            Proof(
                claim="new parameters",
                before=0,
                after=done.parameters,
                unit="parameters",
                ok=True,
                note=_note(self.mechanism, done.parameters),
            ),
        ]
        return workspace.with_(proofs=tuple(require(proofs)))


def _note(mechanism: Mechanism, parameters: int) -> str:
    """What a step that follows has to do."""
    trained = "; to be trained by a step that follows" if parameters else ""
    return f"{MEANING[mechanism.capabilities.swap]}{trained}"


def _running(model: Any) -> int:
    """How many of the attached layers run on a few tokens."""
    ran = {id(call.module) for call in calls_of(model)}
    modules = dict(model.named_modules())
    return sum(id(modules[name]) in ran for name in attached(model))
