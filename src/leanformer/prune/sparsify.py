"""Sparsity as a step: weights go to zero while the model is trained, by any saliency and pattern.

    saliency × pattern × schedule          what matters, what goes together, how much when

    magnitude pruning     saliency = "weight-magnitude"      schedule = "cubic"
    movement pruning      saliency = "movement"              schedule = "cubic"
    soft movement         saliency = "soft-movement"         the share comes out of λ
    2:4                   pattern = "n-of-m"                 keep = 0.5

Zeros in a dense matrix save no time on any hardware and no bytes in a plain file: this step makes
sparsity, `shrink` makes models fast, and the proofs here claim nothing else. Biases, norms,
embeddings and the head are left alone; shares are of the weights of the layers' linear maps.
"""

from dataclasses import replace
from typing import Any, Literal

from torch import Tensor, nn

from leanformer.core.proof import Proof, require
from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.measure.sameness import dev_outputs, same_outputs
from leanformer.models.anatomy import cuttable
from leanformer.models.linear_maps import linear_maps
from leanformer.prune.masked import Masked
from leanformer.prune.masks import Masks
from leanformer.prune.pattern import Pattern
from leanformer.prune.patterns import Unstructured
from leanformer.prune.saliencies import WeightMagnitude
from leanformer.prune.saliency import LearntSaliency, Saliency
from leanformer.prune.schedule import Schedule
from leanformer.prune.schedules import Cubic
from leanformer.prune.shares import record_shares
from leanformer.train.trained import Training

_PLACE = "masks"  # the name of the module that follows the training


@technique(
    "sparsify",
    paper="Zhu & Gupta 2017, arXiv:1710.01878; Sanh et al. 2020, arXiv:2005.07683",
)
class Sparsify(Step):
    """Train a model while its weights go to zero: the smallest store, no gain in time."""

    by: Training
    """The training meanwhile, `distill` or `finetune`; it ends with its last weights, the sparsest
    ones."""
    keep: float = 0.5
    """Share of the weights that stays; with saliencies that find the share themselves it is not
    looked at."""
    saliency: Saliency = WeightMagnitude()
    """How much a weight matters."""
    pattern: Pattern = Unstructured()
    """What is removed together."""
    schedule: Schedule = Cubic()
    """How much is removed when."""
    scope: Literal["local", "global"] = "local"
    """Whether every matrix keeps the share, or all matrices together."""
    every: int = 10
    """Optimizer steps between two choices of what stays."""
    keep_dense: tuple[str, ...] = ()
    """Names of linear layers that lose nothing."""

    def __post_init__(self) -> None:
        if not isinstance(self.by, Training):
            raise ValueError(f"by: {self.by} does not train; use distill or finetune")
        if not 0 < self.keep <= 1:
            raise ValueError(
                f"keep: {self.keep} is not a share of the weights in (0, 1]; a matrix without any "
                "passes nothing"
            )
        if self.keep < self.pattern.least():
            raise ValueError(
                f"keep: {self.keep} is less than {self.pattern.least():g}, the least that "
                f"{self.pattern} keeps"
            )
        if self.every < 1:
            raise ValueError(f"every: {self.every} is not at least 1")
        if self.saliency.gathers and self.schedule.progress(0.0) > 0:
            raise ValueError(
                "schedule: this saliency looks at gradients, and there are none before the first "
                "step; use cubic with a hold, or one-shot with at > 0"
            )
        if self.saliency.gathers and self.by.train.precision == "fp16":
            raise ValueError(
                "by.train.precision: fp16 scales the gradients that this saliency gathers, "
                "differently from step to step; use bf16 or fp32"
            )

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model and leave zeros where weights were removed.

        Raises:
            ValueError: The architecture is not known or the model rounds already, a name in
                `keep_dense` is unknown, the pattern does not fit a weight or the scope, or the
                training cannot be done.
            NoEffect: The zeros are not as many as asked, or the plain model says something else.
        """
        model = workspace.model
        cuttable(model)
        maps = linear_maps(model, self.keep_dense, "keep_dense")
        linears = {name: one for name, one in maps.items() if isinstance(one, nn.Linear)}
        if not linears:
            raise ValueError(
                f"sparsify: {type(model).__name__} is built of other layers than nn.Linear; "
                "sparse-gpt takes them"
            )
        layers = {
            name: _masked(name, linear, self.pattern, self.saliency)
            for name, linear in linears.items()
        }
        sizes = {_unit_size(self.pattern, linear.weight) for linear in linears.values()}
        if self.scope == "global" and len(sizes) > 1:
            raise ValueError(
                f"scope: units of {self.pattern} differ in size from matrix to matrix, and cannot "
                'be ranked together; use "local"'
            )
        for name, layer in layers.items():
            model.set_submodule(name, layer.train(model.training))
        masks = Masks(
            layers,
            self.saliency,
            self.pattern,
            self.schedule,
            self.keep,
            scope=self.scope,
            every=self.every,
        )
        model.add_module(_PLACE, masks)
        by: Any = self.by
        done = replace(by, choose="last", regain=False).apply(workspace)
        model = done.model
        before = dev_outputs(workspace, model, self.by.max_length)
        delattr(model, _PLACE)
        for name, layer in layers.items():
            model.set_submodule(name, layer.plain())
        after = dev_outputs(workspace, model, self.by.max_length)
        proofs = [
            *done.proofs,
            self._sparse(workspace, model, tuple(layers)),
            same_outputs(before, after, "taking the masks away"),
        ]
        return done.with_(proofs=tuple(require(proofs)))

    def _sparse(self, workspace: Workspace, model: Any, names: tuple[str, ...]) -> Proof:
        """The proof that as many weights are zero as asked; the shares by layer are recorded."""
        weights = {name: model.get_submodule(name).weight for name in names}
        record_shares(workspace.with_(model=model), weights)
        total = sum(weight.numel() for weight in weights.values())
        kept = sum(int(weight.count_nonzero()) for weight in weights.values())
        free = isinstance(self.saliency, LearntSaliency) and self.saliency.sets_share
        rounding = sum(_unit_size(self.pattern, weight) for weight in weights.values())
        asked = self.keep * total
        return Proof(
            claim="weights of the layers that are not zero",
            before=total,
            after=kept,
            unit="",
            asked=None if free else asked,
            ok=kept < total and (free or kept <= asked + rounding),
            note=f"{len(names)} matrices, {kept / total:.2%} kept",
        )


def _unit_size(pattern: Pattern, weight_OI: Tensor) -> float:
    return weight_OI.numel() / pattern.units(weight_OI).numel()


def _masked(name: str, linear: nn.Linear, pattern: Pattern, saliency: Saliency) -> Masked:
    try:
        return Masked(linear, pattern, saliency)
    except ValueError as error:
        raise ValueError(f"sparsify: {name}: {error}; or name it in keep_dense") from error
