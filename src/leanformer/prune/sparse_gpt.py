"""Pruning without training: each layer on its own, with statistics of real texts.

    min over sparse Ŵ   ‖ W X - Ŵ X ‖²         H = mean of x xᵀ          (`prune.surgeon`)

The loss of a layer is its squared output error relative to its outputs; it is recorded for each
layer, worst first. A large decoder can lose half of its weights this way. Small encoders bear less,
and a training (`sparsify`) gets much further.
"""

import torch
from torch import Tensor

from leanformer.calibrate.gram import gather_grams, output_loss
from leanformer.calibrate.texts import training_texts
from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Count, InnerShare, Length, Positive
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.models.anatomy import require_prunable
from leanformer.models.anatomy.channels import weight_of
from leanformer.models.anatomy.linear_maps import linear_maps
from leanformer.prune.pattern import Pattern, check_sparsity
from leanformer.prune.patterns import Unstructured
from leanformer.prune.shares import record_shares
from leanformer.prune.surgeon import sparse_weight


@technique("sparse-gpt", paper="Frantar & Alistarh 2023, arXiv:2301.00774")
class SparseGpt(Step):
    """Remove weights of a trained model in one pass; the remaining ones compensate."""

    sparsity: InnerShare = 0.5
    """Share of the weights of each linear map that becomes zero."""
    pattern: Pattern = Unstructured()
    """Which weights are removed together."""
    damp_percent: Positive = 0.01
    """Share of the mean diagonal that is added to the Hessian, so that it can be inverted."""
    block_size: Count = 32
    """Columns whose mask is chosen at once; a multiple of the pattern's width."""
    keep_dense: tuple[str, ...] = ()
    """Names of linear layers that are not pruned."""
    texts: Count = 128
    """Training texts that the Hessian is computed from."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens."""

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity, self.pattern)

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: names and pattern fit the weights; the layers stay."""
        if sketch.model is not None:
            require_prunable(sketch.model)
            for name, layer in linear_maps(sketch.model, self.keep_dense, "keep_dense").items():
                try:
                    self.pattern.units(weight_of(layer))
                except ValueError as error:
                    raise ValueError(f"{name}: {error}; or name it in keep_dense") from error
        return sketch

    @torch.no_grad()
    def apply(self, workspace: Workspace) -> Workspace:
        """Make the weights sparse, in place.

        Raises:
            ValueError: The architecture is unknown or the model is quantized, a name in
                `keep_dense` is unknown, or the pattern does not fit a weight. Nothing was changed.
            NoEffect: The model has fewer zeros than asked for.
        """
        model = workspace.model
        require_prunable(model)
        linears = linear_maps(model, self.keep_dense, "keep_dense")
        batches = training_texts(workspace, self.texts, self.max_length)
        grams = gather_grams(model, batches, layers=tuple(linears))
        found: dict[str, Tensor] = {}
        losses: list[tuple[str, float]] = []
        for name, layer in linears.items():
            weight_OI, gram_II = weight_of(layer), grams.pop(name)
            found[name] = self._sparse(name, weight_OI, gram_II)
            losses.append((name, output_loss(weight_OI, found[name], gram_II)))
        rows = [{"layer": n, "loss": v} for n, v in sorted(losses, key=lambda pair: -pair[1])]
        workspace.record.write("losses_by_layer", model=workspace.name, rows=rows)
        for name, weight_OI in found.items():
            weight_of(linears[name]).data.copy_(weight_OI)
        record_shares(workspace, found)
        total = sum(weight.numel() for weight in found.values())
        after = sum(int(weight.count_nonzero()) for weight in found.values())
        asked = (1 - self.sparsity) * total
        proof = Proof(
            claim="weights of the layers that are not zero",
            before=total,
            after=after,
            unit="",
            asked=asked,
            ok=after < total and after <= asked * 1.01,
            note=f"{len(found)} matrices; worst output error {rows[0]['loss']:.2%}",
        )
        return workspace.with_(proofs=tuple(require([proof])))

    def _sparse(self, name: str, weight_OI: Tensor, gram_II: Tensor) -> Tensor:
        try:
            return sparse_weight(
                weight_OI,
                gram_II,
                self.pattern,
                self.sparsity,
                damp_percent=self.damp_percent,
                block_size=self.block_size,
            )
        except ValueError as error:
            raise ValueError(f"sparse-gpt: {name}: {error}; or name it in keep_dense") from error
