"""Progressive transfer: one layer after the other learns to give its teacher layer's outputs.

    phase m = 0 .. M-1      min over layer m of   F_m + a A_m

F_m compares feature maps and A_m attention maps at the student's layer m (`feature-maps`,
`attention-maps`). Layers below m are trained already and frozen, so that the input of layer m does
not change; layers above and the head do not take part yet. The first phase trains the embeddings
too. After the last phase a `distill` step on the outputs trains all layers together.

Each phase is a separate distillation with its own folder: a killed run does not repeat finished
phases, and resumes within a phase from the last checkpoint.

Legend: M layers of the student.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from leanformer.core import codec
from leanformer.core.proof import NoEffect, Proof
from leanformer.core.ranges import Index, InnerShare, Length, NotNegative
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.distill.comparisons.attention_pairs import check_heads
from leanformer.distill.comparisons.layer_map import LayerMap, layer_map
from leanformer.distill.objective import Dims, Objective, dims_of
from leanformer.distill.objectives import AttentionMaps, FeatureMaps
from leanformer.distill.step import Distill
from leanformer.models.anatomy import layers_of
from leanformer.train.checkpoints import checkpoint
from leanformer.train.setup import TrainSetup


@technique("progressive", paper="Sun et al. 2020 (MobileBERT), arXiv:2004.02984")
class Progressive(Step):
    """Teach a student as wide as its teacher one layer at a time, before `distill` teaches all."""

    train: TrainSetup = field(default_factory=lambda: TrainSetup(learning_rate=1e-3))
    """How to train each layer; the same for all layers."""
    teacher_layers: LayerMap | tuple[Index, ...] = "last-of-block"
    """Teacher layer for each student layer: a map, or a list."""
    attention: NotNegative = 1.0
    """Weight of the attention maps; 0 = feature maps only. Feature maps have the weight 1."""
    freeze: bool = True
    """Freeze the layers below; false = train them together with the layer above."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens."""
    unlabelled: bool = True
    """Learn on the unlabelled texts of the data set too."""
    mlm_probability: InnerShare = 0.15
    """Probability of masking a token, where the task is a masked language model."""
    dropout: bool = False
    """Train the student with its dropout."""
    teacher_cache: Path | None = None
    """Folder that caches the teacher's outputs, so that it reads each text once for all layers. Not
    with attention maps."""

    def __post_init__(self) -> None:
        self.phase(0)  # refuses what cannot be cached

    def phase(self, layer: int) -> Distill:
        """The training of one layer of the student."""
        where: dict[str, Any] = {"layers": (layer,), "teacher_layers": self.teacher_layers}
        objectives: list[Objective] = [FeatureMaps(**where)]
        if self.attention:
            objectives.append(AttentionMaps(weight=self.attention, **where))
        return Distill(
            objectives=tuple(objectives),
            train=self.train,
            max_length=self.max_length,
            unlabelled=self.unlabelled,
            mlm_probability=self.mlm_probability,
            dropout=self.dropout,
            teacher_cache=self.teacher_cache,
            load_best_at_end=False,
        )

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: layers of both models can be compared, and stay."""
        if sketch.model is not None and sketch.teacher is not None:
            self._check(dims_of(sketch.model), dims_of(sketch.teacher))
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model layer by layer; its head does not change.

        Raises:
            ValueError: There is no teacher; its layers, width or heads do not fit; or the folder
                holds another transfer.
            NoEffect: The loss of a layer did not fall.
        """
        if workspace.teacher is None:
            raise ValueError(
                "progressive: there is no teacher; name one, or put a finetune or pretrain step "
                "before"
            )
        self._check(dims_of(workspace.model), dims_of(workspace.teacher))
        proofs: list[list[Proof]] = []
        for layer in range(dims_of(workspace.model).layers):
            place = workspace.folder / "checkpoint" / f"layer-{layer:02}"
            found = self._finished(workspace.model, place)
            proofs.append(self._teach(workspace, layer, place) if found is None else found)
        return workspace.with_(proofs=tuple(_summary(proofs)))

    def _teach(self, workspace: Workspace, layer: int, place: Path) -> list[Proof]:
        """Train one layer and save the model; returns the proofs."""
        with only(workspace.model, learning(workspace.model, layer, self.freeze)):
            try:
                done = self.phase(layer).apply(workspace.with_(folder=place))
            except NoEffect as error:
                raise NoEffect(f"progressive: layer {layer}: {error}") from error
        state = {"step": codec.encode(self), "proofs": [asdict(proof) for proof in done.proofs]}
        checkpoint.save(place / "done", {"model": checkpoint.weights(workspace.model)}, state)
        shutil.rmtree(place / "checkpoint", ignore_errors=True)
        if layer:  # its weights are in what was just written
            before = place.with_name(f"layer-{layer - 1:02}") / "done"
            found = checkpoint.load(before)
            assert found is not None, "the layer before was finished"
            checkpoint.save(before, {}, found[1])
        return list(done.proofs)

    def _finished(self, model: nn.Module, place: Path) -> list[Proof] | None:
        """The proofs of a layer that an earlier run finished; loads its weights into `model`."""
        found = checkpoint.load(place / "done")
        if found is None:
            return None
        groups, state = found
        if state["step"] != codec.encode(self):
            raise ValueError(
                f"{place} holds a progressive transfer with other settings; remove "
                f"{place.parent} to begin anew"
            )
        if "model" in groups:  # of the last finished layer alone
            checkpoint.load_weights(model, groups["model"], place / "done")
        return [Proof(**proof) for proof in state["proofs"]]

    def _check(self, student: Dims, teacher: Dims) -> None:
        """Refuse models whose layers cannot be compared, before any training."""
        if student.hidden != teacher.hidden:
            raise ValueError(
                f"progressive: hidden states of width {student.hidden} and {teacher.hidden} are "
                f"compared without a projection; make the student {teacher.hidden} wide, or use "
                "distill with hidden-states"
            )
        pairs = list(enumerate(layer_map(self.teacher_layers, student.layers, teacher.layers)))
        if self.attention:
            check_heads(student.heads, teacher.heads, pairs, "set attention = 0")


def learning(model: Any, layer: int, freeze: bool = True) -> list[nn.Parameter]:
    """The parameters to train with `layer`: its own; without `freeze` also those of layers below.

    The embeddings are trained with the first layer, and without `freeze` with every layer.
    """
    layers = layers_of(model)
    stack = {id(parameter) for parameter in layers.parameters()}
    chosen = [p for one in layers[0 if not freeze else layer : layer + 1] for p in one.parameters()]
    if layer == 0 or not freeze:
        chosen += [p for p in model.base_model.parameters() if id(p) not in stack]
    return chosen


@contextmanager
def only(model: nn.Module, chosen: list[nn.Parameter]) -> Iterator[None]:
    """A context in which only these parameters of `model` require gradients."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    kept = {id(parameter) for parameter in chosen}
    try:
        for parameter, _ in before:
            parameter.requires_grad_(id(parameter) in kept)
        yield
    finally:
        for parameter, asked in before:
            parameter.requires_grad_(asked)


def _summary(layers: list[list[Proof]]) -> list[Proof]:
    """The proofs of all phases: the quality before and after all of them, and the loss of each."""
    quality, last = layers[0][0], layers[-1][0]
    losses = [
        replace(proof, claim=f"{proof.claim}, layer {layer}")
        for layer, (_, proof) in enumerate(layers)
    ]
    return [replace(quality, after=last.after), *losses]
