"""Quantization-aware training as a step: the layers are swapped for ones that round, untrained.

    forward     y = x̂ ŵᵀ + b,  ŵ = Q(w),  x̂ rounded too if asked     every pass of what follows
    backward    straight through to the latent w                      (`leanformer.quantize.fake`)

The step trains nothing. The next step of the recipe does (`distill`, `finetune`), then `pack`
stores the codes or `int8` makes the graph that runs. The settings of the papers:

    Q8BERT         weights = { use = "uniform", granularity = "tensor" }  tables = "all"
                   embeddings = { use = "uniform", granularity = "tensor" }
                   activations = { use = "moving-average" }
    Q-BERT         weights = { use = "uniform", granularity = "row-group", num_groups = 128,
                               symmetric = false }
                   bits = "hessian-bits"            embeddings = { use = "uniform", bits = 8 }
                   activations = { use = "moving-average" }
    TernaryBERT    weights = "ternary"                                 clip = 2.5
                   embeddings = { use = "ternary", granularity = "row" }
                   activations = { use = "dynamic", symmetric = true }     (or false: its paper)

What follows begins near its best where bits are many: give it `require_improvement = false`, or it
fails for ending no better than it began.

In floating point stay: softmax, GELU, norms, residuals, biases, the products inside attention, the
head unless asked, position and type embeddings unless `tables` = "all".
"""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from leanformer.calibrate.texts import training_texts
from leanformer.core.machine.device import device_of, inputs_on
from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Count, Length, Positive
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import encode_examples
from leanformer.quantize.activations import Activations
from leanformer.quantize.bit_choice import BitChoice
from leanformer.quantize.fake import rounded_layers
from leanformer.quantize.fixed_bits import FixedBits as FixedBits
from leanformer.quantize.hessian_bits import HessianBits as HessianBits
from leanformer.quantize.layer_bits import with_bits
from leanformer.quantize.post_training.clipping import calibrate_ranges
from leanformer.quantize.quantizer import Quantizer
from leanformer.quantize.quantizers import Uniform
from leanformer.quantize.swap import swap
from leanformer.train.evaluate import outputs

_CHECKED = 16  # texts on which the rounding must show


@technique(
    "quantize-aware",
    paper="Jacob et al. 2018, arXiv:1712.05877; Zafrir et al. 2019, arXiv:1910.06188; "
    "Zhang et al. 2020, arXiv:2009.12812",
)
class QuantizeAware(Step):
    """Let the training that follows see rounded weights and activations, so that it adapts."""

    weights: Quantizer = Uniform()
    """What rounds the weights of the encoder's linear layers."""
    bits: BitChoice | None = None
    """Who chooses the bits of each layer's weights, as Q-BERT does; None = all have those of
    `weights`."""
    embeddings: Quantizer | None = None
    """What rounds embedding tables; None = they stay in floating point."""
    tables: Literal["words", "all"] = "words"
    """Which embedding tables: of words only, as TernaryBERT does, or of positions and types too, as
    Q8BERT does."""
    activations: Activations | None = None
    """What rounds the inputs of the linear layers; None = they stay in floating point."""
    clip: Positive | None = None
    """Latent weights beyond ±clip are clipped and get no gradient; TernaryBERT uses 2.5."""
    head: bool = False
    """Round the layers of the head too."""
    modules_to_not_convert: tuple[str, ...] = ()
    """Names of layers that stay in floating point."""
    texts: Count = 128
    """Training texts on which layers that are used, and calibrated ranges, are found."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens."""

    def __post_init__(self) -> None:
        if self.bits is not None and not isinstance(self.weights, Uniform):
            raise ValueError(
                f'bits: {self.weights} has no bits to choose; use weights = {{ use = "uniform" }}'
            )
        for field in ("weights", "embeddings"):
            quantizer: Quantizer | None = getattr(self, field)
            if quantizer is not None and quantizer.needs_hessian:
                raise ValueError(
                    f"{field}: {quantizer} rounds once, on statistics of a finished model; choose "
                    "one that rounds in every step, such as uniform or ternary"
                )

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: layers that are named are there; all stay."""
        if sketch.model is not None:
            self._check_names(dict(sketch.model.named_modules()))
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Swap the layers of the model in place.

        Raises:
            ValueError: A name in `modules_to_not_convert` is unknown, the model rounds already or
                has no linear layer, a weight cannot be rounded so, or the word embeddings are the
                weight of the head too.
            NoEffect: Nothing is rounded.
        """
        model, dataset = workspace.model, workspace.dataset
        kind = dataset.task.kind
        batches = training_texts(workspace, self.texts, self.max_length)
        layers = self._layers(model, batches)
        if self.bits is not None:
            assert isinstance(self.weights, Uniform)
            layers |= with_bits(
                workspace, self._linears(model, layers), self.bits, self.weights, self.max_length
            )
        _check(model, layers)
        few = encode_examples(
            dataset.dev.take(list(range(min(_CHECKED, len(dataset.dev))))),
            workspace.tokenizer,
            kind,
            self.max_length,
        )
        before = outputs(model, few, kind, precision="fp32")
        ranges = self._ranges(model, layers, batches)
        swap(model, layers, self.activations, self.clip)
        for name, (low, high) in ranges.items():
            model.get_submodule(name).activations.calibrate(low, high)
        after = outputs(model, few, kind, precision="fp32")
        worst = max(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True))
        proofs = [_rounded(model), _changed(worst, len(few))]
        return workspace.with_(proofs=tuple(require(proofs)))

    def _layers(self, model: Any, batches: list[dict[str, Tensor]]) -> dict[str, Quantizer | None]:
        """What rounds which layer, by name, of those that the task reaches."""
        if getattr(model.config, "quantization_config", None) is not None:
            raise ValueError(
                "quantize-aware: the model rounds already; begin with one that does not"
            )
        names = dict(model.named_modules())
        self._check_names(names)
        used = _reached(model, batches[0])
        inside = {id(module) for module in model.base_model.modules()}
        layers: dict[str, Quantizer | None] = {
            name: self.weights
            for name in used
            if isinstance(names[name], nn.Linear) and (self.head or id(names[name]) in inside)
        }
        layers = {name: q for name, q in layers.items() if name not in self.modules_to_not_convert}
        if not layers:
            raise ValueError(
                "quantize-aware: there is no linear layer to round; modules_to_not_convert names "
                f"them all, or {type(model).__name__} is built of other layers"
            )
        return layers | self._tables(model, names, used)

    def _check_names(self, names: dict[str, nn.Module]) -> None:
        if unknown := [name for name in self.modules_to_not_convert if name not in names]:
            raise ValueError(f"modules_to_not_convert: no layer is named {', '.join(unknown)}")

    def _linears(
        self, model: Any, layers: dict[str, Quantizer | None]
    ) -> dict[str, Quantizer | None]:
        """Those of `layers` that are no tables."""
        return {n: q for n, q in layers.items() if isinstance(model.get_submodule(n), nn.Linear)}

    def _tables(
        self, model: Any, names: dict[str, nn.Module], used: list[str]
    ) -> dict[str, Quantizer | None]:
        if self.embeddings is None:
            return {}
        words = model.get_input_embeddings()
        tables: dict[str, Quantizer | None] = {
            name: self.embeddings
            for name in used
            if isinstance(names[name], nn.Embedding)
            and name not in self.modules_to_not_convert
            and (self.tables == "all" or names[name] is words)
        }
        output = model.get_output_embeddings()
        if tables and output is not None and output.weight is words.weight:
            raise ValueError(
                "embeddings: the word embeddings are the weight of the head too, which would then "
                "not round as they do; leave embeddings out for a language model"
            )
        return tables

    def _ranges(
        self, model: Any, layers: dict[str, Quantizer | None], batches: list[dict[str, Tensor]]
    ) -> dict[str, tuple[float, float]]:
        """The calibrated range of each linear layer's input, where ranges are calibrated."""
        if self.activations is None or self.activations.calibration is None:
            return {}
        linears, method = tuple(self._linears(model, layers)), self.activations.calibration
        found = calibrate_ranges(model, batches, method=method, layers=linears)
        return {name: (seen.low, seen.high) for name, seen in found.items()}


@torch.no_grad()
def _check(model: Any, layers: dict[str, Quantizer | None]) -> None:
    """Round each weight once, so that what cannot be rounded is known before a layer is swapped."""
    for name, quantizer in layers.items():
        assert quantizer is not None
        try:
            quantizer.quantize(model.get_submodule(name).weight.detach())
        except ValueError as error:
            raise ValueError(
                f"quantize-aware: {name}: {error}; or name it in modules_to_not_convert"
            ) from error


@torch.no_grad()
def _reached(model: nn.Module, batch: dict[str, Tensor]) -> list[str]:
    """The layers that the model runs through for this input, in order."""
    reached: list[str] = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: reached.append(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Embedding)
    ]
    try:
        model.eval()(**inputs_on(device_of(model), batch))
    finally:
        for handle in handles:
            handle.remove()
    return list(dict.fromkeys(reached))


def _rounded(model: nn.Module) -> Proof:
    layers = rounded_layers(model).values()
    after = sum(layer.weight.numel() for layer in layers)
    whole = sum(parameter.numel() for parameter in model.parameters())
    return Proof(
        claim="parameters that are rounded",
        before=0,
        after=after,
        unit="",
        ok=after > 0,
        note=f"{len(layers)} layers, of {whole} parameters in all",
    )


def _changed(worst: float, texts: int) -> Proof:
    return Proof(
        claim="largest change of an output by rounding",
        before=0,
        after=worst,
        unit="",
        ok=worst > 0,
        note=f"{texts} texts in fp32, before the training that follows",
    )
