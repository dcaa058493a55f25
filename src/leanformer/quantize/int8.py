"""Int8 as a step: find scales, export a graph that carries them, prove what it runs.

    x'_i  = clamp(round(x_i / s_x) + z, low, high)    one scale and zero point per activation tensor
    w'_oi = round(w_oi / s_o)                         one scale per output row of a weight
    y_o   = s_x s_o Σ_i (x'_i - z) w'_oi + b_o        the sum is of integers: what a kernel runs

The three parts of the step:

    scales    whose they are: NNCF finds them while it exports (`scales = "nncf"`); our own
              post-training quantization does (`scales = "own"`: clipping, SmoothQuant, bias
              correction); or the model was trained with them (`quantize-aware`), which outranks
              both, since other scales would undo that training
    export    to OpenVINO, and with `onnx = true` to ONNX Runtime
    prove     integer kernels run, the file shrank, and the graph answers as the model does

Worked example: weights (0.5, -1.27) of one row have the scale 1.27 / 127 = 0.01 and the codes
(50, -127). Activations in [0, 2.55] have the scale 2.55 / 255 = 0.01 and the zero point 0, so that
x = (1, 2) has the codes (100, 200). The kernel sums 100 · 50 - 200 · 127 = -20400, and
0.01 · 0.01 · -20400 = -2.04 is the product in floating point, 0.5 - 2.54.

With `keep`, scales and export are repeated with more layers in floating point until the graph keeps
that share of the model's quality on the development split.

Legend: i input channel, o output row, s scale, z zero point.
"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from torch import Tensor, nn

from leanformer.calibrate.texts import training_texts
from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Count, Length, Range, Share
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import Encoded, encode_examples
from leanformer.measure.quality import session_outputs
from leanformer.models.io.save import save_model
from leanformer.quantize.onnx_qdq import write_scales
from leanformer.quantize.post_training.clipping import Method
from leanformer.quantize.post_training.float_layers import (
    Outputs,
    float_layers_for,
    most_sensitive_layers,
)
from leanformer.quantize.post_training.insert_fake_quant import insert_fake_quant
from leanformer.quantize.to_int8 import is_fake_quantized, to_int8
from leanformer.runtime.backends import graph_file
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.onnx.session import OnnxSession
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.openvino.session import OpenVinoSession
from leanformer.runtime.proofs.agreement import agreeing_outputs
from leanformer.runtime.session import Session
from leanformer.tasks import served_kind
from leanformer.train.evaluate import outputs

_LEAST = 0.9  # agreement with PyTorch below which the graph is not a copy of the model
_OWN = ("min-max", "searched", False)  # settings of our own scales that nobody touched
_NAMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
_CHECKED = 200  # texts on which the graph is compared with the model


@technique("int8", paper="Jacob et al. 2018, arXiv:1712.05877")
class Int8(Step):
    """Store and run the model in eight-bit integers: a quarter of the size, much faster."""

    exports = True

    scales: Literal["nncf", "own"] = "nncf"
    """Who finds the scales: NNCF's post-training quantization, or ours. A model that was trained to
    round has them already."""
    ranges: Method = "min-max"
    """How our own scales choose the range of an activation."""
    smooth: Annotated[float, Range(at_least=0, at_most=1)] | Literal["searched"] | None = "searched"
    """SmoothQuant's alpha with our own scales: how much of the outliers moves from activations to
    weights, 0 to 1; "searched" = the alpha of least output error, layer by layer; None = no
    SmoothQuant."""
    correct_bias: bool = False
    """Subtract the mean shift of each layer's outputs, with our own scales: runs the texts once per
    layer."""
    texts: Count = 128
    """Training texts to calibrate on."""
    modules_to_not_convert: tuple[str, ...] = ()
    """Names of linear layers that stay in floating point; for a model that was trained to round,
    name them in its quantize-aware step."""
    keep: Share | None = None
    """Share of the quality on dev that must stay: layers go back to floating point, those that lose
    most first, until it does. None = all linear layers are integers."""
    onnx: bool = False
    """Write ONNX Runtime's graph with these scales beside OpenVINO's: for machines without it."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens."""

    def __post_init__(self) -> None:
        if self.scales == "nncf" and (self.ranges, self.smooth, self.correct_bias) != _OWN:
            raise ValueError(
                "scales: ranges, smooth and correct_bias are settings of our own scales; set "
                'scales = "own"'
            )
        if self.keep is not None and self.modules_to_not_convert:
            raise ValueError(
                "modules_to_not_convert: keep finds the layers that stay in floating point; set "
                "only one of the two"
            )

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: layers that are named are there."""
        if sketch.model is not None:
            linears = [n for n, m in sketch.model.named_modules() if isinstance(m, nn.Linear)]
            for layer in self.modules_to_not_convert:
                if not any(f".{name}".endswith(f".{layer}") for name in linears):
                    raise ValueError(f"modules_to_not_convert: no linear layer is named {layer}")
        return replace(sketch, model=None)

    def apply(self, workspace: Workspace) -> Workspace:
        """Save the model and its int8 graphs in one folder.

        Raises:
            ValueError: A name in `modules_to_not_convert` is unknown; the model was trained to
                round, and other layers are to stay in floating point or its inputs have fewer than
                8 bits; or `onnx` is set and the scales are NNCF's.
            NoEffect: No integer kernel runs, the file did not shrink, the graph answers otherwise
                than the model, or no choice of layers reaches `keep`.
        """
        self._check(workspace)
        saved = _saved(workspace)
        save_model(workspace.model, workspace.tokenizer, saved, overwrite=True)
        batches = training_texts(workspace, self.texts, self.max_length)
        float_layers = self._float_layers(workspace, batches)
        model = self._with_scales(workspace, batches, float_layers)
        proofs = self._export(workspace, model, float_layers) + self._prove(workspace)
        return workspace.with_(saved=saved, proofs=tuple(require(proofs)))

    def _check(self, workspace: Workspace) -> None:
        served_kind(workspace.dataset.task.kind)
        trained = is_fake_quantized(workspace.model)
        if trained and (self.modules_to_not_convert or self.keep is not None):
            field = "modules_to_not_convert" if self.keep is None else "keep"
            raise ValueError(
                f"{field}: the model was trained to round; name what stays in floating point in "
                "its quantize-aware step"
            )
        if self.onnx and self.scales == "nncf" and not trained:
            raise ValueError(
                'onnx: NNCF keeps its scales in the OpenVINO graph; set scales = "own", or train '
                "the model to round (quantize-aware)"
            )

    def _with_scales(
        self,
        workspace: Workspace,
        batches: list[dict[str, Tensor]],
        float_layers: tuple[str, ...],
    ) -> Any:
        """What is exported: a copy of the model that carries scales; with NNCF the model itself."""
        if is_fake_quantized(workspace.model):
            model, errors = to_int8(workspace.model, batches)
            rows = [{"layer": layer, "loss": loss} for layer, loss in errors]
            workspace.record.write("requantized_by_layer", model=workspace.name, rows=rows)
            return model
        if self.scales == "nncf":
            return workspace.model
        model = copy.deepcopy(workspace.model)
        insert_fake_quant(
            model,
            batches,
            method=self.ranges,
            smooth=self.smooth,
            correct_bias=self.correct_bias,
            modules_to_not_convert=float_layers,
        )
        return model

    def _export(
        self, workspace: Workspace, model: Any, float_layers: tuple[str, ...]
    ) -> list[Proof]:
        """Write the graphs of `model`; NNCF calibrates it on training texts."""
        kind, train = served_kind(workspace.dataset.task.kind), workspace.dataset.train
        sample = train.take(list(range(min(self.texts, len(train)))))
        calibration = Calibration(
            tokenizer=workspace.tokenizer,
            texts=sample.texts,
            pairs=sample.pairs,
            max_length=min(self.max_length, workspace.tokenizer.model_max_length),
        )
        proofs = export_openvino(
            model,
            kind,
            graph_file(_saved(workspace), "openvino", "int8").parent,
            precision="int8",
            pairs=sample.pairs is not None,
            calibration=calibration,
            modules_to_not_convert=float_layers,
            overwrite=True,
        )
        if self.onnx:
            proofs += export_onnx(
                model,
                kind,
                graph_file(_saved(workspace), "onnxruntime", "int8").parent,
                precision="int8",
                pairs=sample.pairs is not None,
                write_scales=write_scales,
                overwrite=True,
            )
        return proofs

    def _prove(self, workspace: Workspace) -> list[Proof]:
        """The proofs that each graph answers as the model does on texts of the dev split."""
        kind, dev = workspace.dataset.task.kind, workspace.dataset.dev
        some = dev.take(list(range(min(_CHECKED, len(dev)))))
        encoded = encode_examples(some, workspace.tokenizer, kind, self.max_length)
        theirs = outputs(workspace.model, encoded, kind, precision="fp32")
        backends: tuple[str, ...] = ("openvino", "onnxruntime") if self.onnx else ("openvino",)
        proofs = []
        for backend in backends:
            ours = session_outputs(_opened(workspace, backend), encoded)
            named = f"{_NAMES[backend]} int8"
            proofs.append(agreeing_outputs(kind, theirs, ours, least=_LEAST, backend=named))
        return proofs

    def _float_layers(
        self, workspace: Workspace, batches: list[dict[str, Tensor]]
    ) -> tuple[str, ...]:
        """Names of the layers that stay in floating point: as given, or the fewest for `keep`."""
        if is_fake_quantized(workspace.model):
            return ()
        layers = most_sensitive_layers(workspace, batches)
        if self.keep is None:
            return self.modules_to_not_convert

        def answers(float_layers: tuple[str, ...], encoded: Encoded) -> Outputs:
            model = self._with_scales(workspace, batches, float_layers)
            self._export(workspace, model, float_layers)
            return session_outputs(_opened(workspace, "openvino"), encoded)

        return float_layers_for(workspace, layers, self.keep, self.max_length, answers)


def _saved(workspace: Workspace) -> Path:
    return workspace.folder / "model"


def _opened(workspace: Workspace, backend: str) -> Session:
    """The int8 graph of a folder that has no manifest yet."""
    kinds: dict[str, Any] = {"openvino": OpenVinoSession, "onnxruntime": OnnxSession}
    session: Session = kinds[backend](graph_file(_saved(workspace), backend, "int8"), "int8")
    return session
