"""Weights in few bits without training: rounded once, on statistics of real texts, and packed.

    E = Ŵ - W        loss of a layer = tr(E H Eᵀ) / tr(W H Wᵀ)          H = mean of x xᵀ

The loss is the squared error of the layer's outputs relative to their size; it is recorded layer by
layer, worst first. GPTQ makes it small by rounding on H itself, and 4 bits in groups are then
nearly lossless; plain rounding to 8 bits is. Inputs stay in floating point, so that the gain is in
size and in memory traffic (decoders), not in the speed of an encoder's products: that is `int8`.

Legend: O out, I in.
"""

from dataclasses import replace

import torch
from torch import Tensor

from leanformer.calibrate.gram import gather_grams, output_loss
from leanformer.calibrate.texts import training_texts
from leanformer.core.ranges import Count, Length
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.models.anatomy import require_prunable
from leanformer.models.anatomy.channels import weight_of
from leanformer.models.anatomy.linear_maps import linear_maps
from leanformer.numerics.blocks import Quantized
from leanformer.quantize.pack import written
from leanformer.quantize.quantizer import Quantizer, WeightStatistics
from leanformer.quantize.quantizers import Gptq


@technique("weight-only", paper="Frantar et al. 2022 (GPTQ), arXiv:2210.17323")
class WeightOnly(Step):
    """Store a trained model in 4 or 8 bits per weight without training it again."""

    weights: Quantizer = Gptq()
    """What rounds the weights of the layers' linear maps."""
    embeddings: Quantizer | None = None
    """What rounds the word embeddings; None = they stay in floating point."""
    modules_to_not_convert: tuple[str, ...] = ()
    """Names of linear layers that stay in floating point."""
    texts: Count = 128
    """Training texts that statistics are gathered on."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens."""

    def __post_init__(self) -> None:
        if self.embeddings is not None and self.embeddings.needs_hessian:
            raise ValueError(
                f"embeddings: {self.embeddings} needs inputs to multiply with, and rows are only "
                "looked up; use uniform"
            )

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: layers that are named are there."""
        if sketch.model is not None:
            require_prunable(sketch.model)
            linear_maps(sketch.model, self.modules_to_not_convert, "modules_to_not_convert")
        return replace(sketch, model=None)

    def apply(self, workspace: Workspace) -> Workspace:
        """Round the weights and write the packed checkpoint.

        Raises:
            ValueError: A name in `modules_to_not_convert` is unknown, the architecture is not
                known, the model rounds already, or a weight cannot be rounded so; nothing was
                changed.
            NoEffect: The file is not as small as its codes, or is loaded as something else.
        """
        model = workspace.model
        require_prunable(model)  # a model that rounds has its codes already
        linears = linear_maps(model, self.modules_to_not_convert, "modules_to_not_convert")
        batches = training_texts(workspace, self.texts, self.max_length)
        grams = gather_grams(model, batches, layers=tuple(linears))
        codes: dict[str, Quantized] = {}
        losses: list[tuple[str, float]] = []
        for name, layer in linears.items():
            weight_OI = weight_of(layer)
            codes[name] = _quantized(name, self.weights, weight_OI, grams[name])
            rounded_OI = codes[name].dequantized()
            losses.append((name, output_loss(weight_OI, rounded_OI, grams.pop(name))))
        if self.embeddings is not None:
            words = model.get_input_embeddings()
            place = next(name for name, module in model.named_modules() if module is words)
            codes[place] = _quantized(place, self.embeddings, words.weight, None)
        rows = [{"layer": n, "loss": v} for n, v in sorted(losses, key=lambda pair: -pair[1])]
        workspace.record.write("losses_by_layer", model=workspace.name, rows=rows)
        for name, found in codes.items():
            weight_of(model.get_submodule(name)).data.copy_(found.dequantized())
        return written(workspace, codes, self.max_length)


@torch.no_grad()
def _quantized(
    name: str, quantizer: Quantizer, weight_OI: Tensor, gram_II: Tensor | None
) -> Quantized:
    try:
        return quantizer.quantize(weight_OI, WeightStatistics(hessian_II=gram_II))
    except ValueError as error:
        raise ValueError(
            f"weight-only: {name}: {error}; or name it in modules_to_not_convert"
        ) from error
