"""Weight pruning during training, as a step: more and more weights are held at zero.

    w ⊙ m_t        m_t keeps the units with the highest scores; a share s_t of them is masked
    s_t = schedule(t / T) · sparsity

Four choices are independent: the `criterion` scores weights, the `pattern` says which weights are
removed together, the `schedule` says when, and `by` is the training meanwhile.

    magnitude pruning     criterion = "weight-magnitude"     schedule = "cubic"
    movement pruning      criterion = "movement"             schedule = "cubic"
    soft movement         criterion = "soft-movement"        the penalty decides the sparsity
    2:4 sparsity          pattern = "n-of-m"                 sparsity = 0.5

Example: with `sparsity = 0.75` and `cubic` (hold 0.1, cool 0.3), a 512 x 512 matrix is dense for
the first tenth of the training, has 7/8 of the zeros at 40 % of it, all 196,608 at 70 %, and the
remaining 65,536 weights are trained until the end.

Zeros in a dense matrix save neither time on any hardware nor bytes in a plain file. This step
claims sparsity only; `drop-empty` makes it faster, `pack-sparse` makes it smaller. Biases, norms,
embeddings and the head are not pruned; shares are of the weights of the layers' linear maps.
"""

from dataclasses import replace
from typing import Any, Literal

from torch import Tensor, nn

from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Count, PartialShare
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.measure.sameness import dev_outputs, same_outputs
from leanformer.models.anatomy import require_prunable
from leanformer.models.anatomy.linear_maps import linear_maps
from leanformer.prune.criteria.interface import WeightCriterion
from leanformer.prune.criteria.learned_mask import LearnedMask
from leanformer.prune.criteria.weights import WeightMagnitude
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.masks.masks import Masks
from leanformer.prune.pattern import Pattern, check_sparsity
from leanformer.prune.patterns import Unstructured
from leanformer.prune.schedule import Schedule
from leanformer.prune.schedules import Cubic
from leanformer.prune.shares import record_shares
from leanformer.train.steps.trained import Training

_MASKS = "masks"  # name of the submodule that updates the masks


@technique(
    "sparsify",
    paper="Zhu & Gupta 2017, arXiv:1710.01878; Sanh et al. 2020, arXiv:2005.07683",
)
class Sparsify(Step):
    """Train a model while its weights become zero: smallest storage, no gain in time."""

    by: Training
    """The training meanwhile, `distill` or `finetune`. It ends with its last weights, which are the
    sparsest."""
    sparsity: PartialShare = 0.5
    """Share of the weights that is zero in the end. Not read with criteria that find the sparsity
    themselves."""
    criterion: WeightCriterion | LearnedMask = WeightMagnitude()
    """How much a weight matters."""
    pattern: Pattern = Unstructured()
    """Which weights are removed together."""
    schedule: Schedule = Cubic()
    """How much is removed by when."""
    scope: Literal["local", "global"] = "local"
    """Whether every matrix has this sparsity, or all matrices together."""
    every: Count = 10
    """Optimizer steps between two mask updates."""
    keep_dense: tuple[str, ...] = ()
    """Names of linear layers that are not pruned."""

    def __post_init__(self) -> None:
        if not isinstance(self.by, Training):
            raise ValueError(f"by: {self.by} does not train; use distill or finetune")
        check_sparsity(self.sparsity, self.pattern)
        if self.criterion.needs and self.schedule.progress(0.0) > 0:
            raise ValueError(
                "schedule: this criterion needs gradients, and there are none before the first "
                "step; use cubic with a hold, or one-shot with at > 0"
            )
        if self.criterion.needs and self.by.train.precision == "fp16":
            raise ValueError(
                "by.train.precision: fp16 scales the gradients that this criterion averages, by a "
                "factor that changes between steps; use bf16 or fp32"
            )

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the pattern fits the weights; the layers stay."""
        if sketch.model is not None:
            self._masked_layers(sketch.model)
        return self.by.foresee(sketch)

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model; it ends with zeros where weights were removed.

        Raises:
            ValueError: The architecture is unknown or the model is quantized, a name in
                `keep_dense` is unknown, the pattern does not fit a weight or the scope, or the
                training is impossible.
            NoEffect: The model has fewer zeros than asked for, or removing the masks changed its
                outputs.
        """
        model = workspace.model
        layers = self._masked_layers(model)
        for name, layer in layers.items():
            model.set_submodule(name, layer.train(model.training))
        masks = Masks(
            layers,
            self.criterion,
            self.pattern,
            self.schedule,
            self.sparsity,
            scope=self.scope,
            every=self.every,
        )
        model.add_module(_MASKS, masks)
        by: Any = self.by
        done = replace(by, load_best_at_end=False, require_improvement=False).apply(workspace)
        model = done.model
        before = dev_outputs(workspace, model, self.by.max_length)
        delattr(model, _MASKS)
        for name, layer in layers.items():
            model.set_submodule(name, layer.as_linear())
        after = dev_outputs(workspace, model, self.by.max_length)
        proofs = [
            *done.proofs,
            self._prove_sparsity(workspace, model, tuple(layers)),
            same_outputs(before, after, "taking the masks away"),
        ]
        return done.with_(proofs=tuple(require(proofs)))

    def _masked_layers(self, model: Any) -> dict[str, MaskedLinear]:
        """The masked form of each linear layer to prune, by name; `model` is not changed."""
        require_prunable(model)
        maps = linear_maps(model, self.keep_dense, "keep_dense")
        linears = {name: one for name, one in maps.items() if isinstance(one, nn.Linear)}
        if not linears:
            raise ValueError(
                f"sparsify: {type(model).__name__} is built of other layers than nn.Linear; use "
                "sparse-gpt, which accepts them"
            )
        layers = {name: self._masked(name, linear) for name, linear in linears.items()}
        sizes = {_unit_size(self.pattern, linear.weight) for linear in linears.values()}
        if self.scope == "global" and len(sizes) > 1:
            raise ValueError(
                f"scope: units of {self.pattern} differ in size from matrix to matrix and cannot "
                'be ranked together; use "local"'
            )
        return layers

    def _masked(self, name: str, linear: nn.Linear) -> MaskedLinear:
        try:
            return MaskedLinear(linear, self.pattern, self.criterion)
        except ValueError as error:
            raise ValueError(f"sparsify: {name}: {error}; or name it in keep_dense") from error

    def _prove_sparsity(self, workspace: Workspace, model: Any, names: tuple[str, ...]) -> Proof:
        """Prove that as many weights are zero as asked for; record the share by layer."""
        weights = {name: model.get_submodule(name).weight for name in names}
        record_shares(workspace.with_(model=model), weights)
        total = sum(weight.numel() for weight in weights.values())
        kept = sum(int(weight.count_nonzero()) for weight in weights.values())
        free = isinstance(self.criterion, LearnedMask) and self.criterion.sets_sparsity
        rounding = sum(_unit_size(self.pattern, weight) for weight in weights.values())
        asked = (1 - self.sparsity) * total
        return Proof(
            claim="weights of the layers that are not zero",
            before=total,
            after=kept,
            unit="",
            asked=None if free else asked,
            ok=kept < total and (free or kept <= asked + rounding),
            note=f"{len(names)} matrices, {1 - kept / total:.2%} sparse",
        )


def _unit_size(pattern: Pattern, weight_OI: Tensor) -> float:
    return weight_OI.numel() / pattern.units(weight_OI).numel()
