"""Eight-bit integers as a step: the trained model becomes a graph that runs on integer kernels.

Weights get one scale a row, activations one scale a tensor, found on texts of the task itself. The
step proves that integer kernels really run, that the file really shrank, and that the graph says
what the model says.

A model that was trained to round (`quantize-aware`) brings its scales: they are what is exported,
whatever `scales` says, since any others would throw the training away.
"""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from leanformer.calibrate.ranges import Method, observe_ranges, quantization_loss
from leanformer.core.proof import NoEffect, Proof, require
from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import Examples, encode_examples
from leanformer.measure.quality import session_outputs
from leanformer.models.save import save_model
from leanformer.quantize.integer import carried, rounds
from leanformer.quantize.sensitive import least_kept
from leanformer.runtime.agreement import agreeing_outputs
from leanformer.runtime.backends import graph_file
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.carry import Smooth, carry_scales
from leanformer.runtime.onnx_backend import export_onnx
from leanformer.runtime.onnx_session import OnnxSession
from leanformer.runtime.openvino_backend import export_openvino
from leanformer.runtime.openvino_session import OpenVinoSession
from leanformer.runtime.session import Session
from leanformer.tasks import served_kind
from leanformer.train.evaluate import outputs, quality

_LEAST = 0.9  # agreement with PyTorch below which the graph is not a copy of the model
_OWN = ("min-max", "searched", False)  # settings of our own scales that nobody touched
_NAMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
_CHECKED = 200  # texts on which the graph is compared with the model


@technique("int8", paper="Jacob et al. 2018, arXiv:1712.05877")
class Int8(Step):
    """Store and run the model in eight-bit integers: a quarter of the size, much faster."""

    scales: Literal["nncf", "own"] = "nncf"
    """Who finds the scales: NNCF's post-training quantization, or our own observers. A model that
    was trained to round has them already."""
    ranges: Method = "min-max"
    """How our own observers choose the range of an activation."""
    smooth: Smooth = "searched"
    """SmoothQuant's alpha with our own scales: the share of outliers that moves from activations to
    weights; "searched" = the one of least output error, layer by layer; None = nothing moves."""
    correct_bias: bool = False
    """Take away the mean shift of each layer's outputs, with our own scales: costs a run of the
    texts a layer."""
    texts: int = 128
    """Training texts that the ranges are found on."""
    keep_float: tuple[str, ...] = ()
    """Names of linear layers that stay in floating point; a model that was trained to round
    decided this before."""
    keep: float | None = None
    """Share of the quality on dev that must stay: layers go back to floating point, those that lose
    most first, until it does. None = all linear layers are integers."""
    onnx: bool = False
    """Write ONNX Runtime's graph with these scales beside OpenVINO's: for machines without it."""
    max_length: int = 128
    """Longer texts are cut to this many tokens."""

    def __post_init__(self) -> None:
        if self.scales == "nncf" and (self.ranges, self.smooth, self.correct_bias) != _OWN:
            raise ValueError(
                'scales: ranges, smooth and correct_bias are of our own scales; set scales = "own"'
            )
        if self.keep is not None and not 0 < self.keep <= 1:
            raise ValueError(f"keep: {self.keep} is not a share of the quality in (0, 1]")
        if self.keep is not None and self.keep_float:
            raise ValueError(
                "keep_float: with keep the layers that stay in floating point are found; name one "
                "of the two"
            )

    def apply(self, workspace: Workspace) -> Workspace:
        """Save the model and its OpenVINO graph in one folder.

        Raises:
            ValueError: A name in `keep_float` is unknown; the model was trained to round, and
                keeps other layers in floating point or has inputs of less than 8 bits; or `onnx`
                is asked for without scales of our own.
            NoEffect: No integer kernel runs, the file did not shrink, the graph says something
                else than the model, or the quality in `keep` cannot be had.
        """
        kind = served_kind(workspace.dataset.task.kind)
        if (self.keep_float or self.keep is not None) and rounds(workspace.model):
            raise ValueError(
                f"{'keep' if self.keep is not None else 'keep_float'}: the model was trained to "
                "round; name what stays in floating point in its quantize-aware step"
            )
        if self.onnx and self.scales == "nncf" and not rounds(workspace.model):
            raise ValueError(
                'onnx: NNCF keeps its scales in the OpenVINO graph; set scales = "own", or train '
                "the model to round (quantize-aware)"
            )
        saved = workspace.folder / "model"
        save_model(workspace.model, workspace.tokenizer, saved, overwrite=True)
        dataset = workspace.dataset
        sample = dataset.train.take(list(range(min(self.texts, len(dataset.train)))))
        encoded = encode_examples(sample, workspace.tokenizer, kind, self.max_length)
        batches = [encoded.batch([index]).inputs for index in range(len(sample))]
        export = partial(self._export, workspace, saved, sample, batches)
        losses = [] if rounds(workspace.model) else self._losses(workspace, batches)
        kept = self.keep_float
        if self.keep is not None:
            kept = self._kept(workspace, saved, export, [layer for layer, _ in losses])
        proofs = export(kept)
        some = dataset.dev.take(list(range(min(_CHECKED, len(dataset.dev)))))
        encoded = encode_examples(some, workspace.tokenizer, kind, self.max_length)
        theirs = outputs(workspace.model, encoded, kind, precision="fp32")
        backends: tuple[str, ...] = ("openvino", "onnxruntime") if self.onnx else ("openvino",)
        for backend in backends:
            ours = session_outputs(_opened(saved, backend), encoded)
            named = f"{_NAMES[backend]} int8"
            proofs.append(agreeing_outputs(kind, theirs, ours, least=_LEAST, backend=named))
        return workspace.with_(saved=saved, proofs=tuple(require(proofs)))

    def _export(
        self,
        workspace: Workspace,
        saved: Path,
        sample: Examples,
        batches: list[dict[str, Tensor]],
        keep_float: tuple[str, ...],
    ) -> list[Proof]:
        """Write the graph with some layers in floating point."""
        calibration = Calibration(
            tokenizer=workspace.tokenizer,
            texts=sample.texts,
            pairs=sample.pairs,
            max_length=min(self.max_length, workspace.tokenizer.model_max_length),
        )
        carrier = self._carrier(workspace, batches, keep_float)
        kind, pairs = served_kind(workspace.dataset.task.kind), sample.pairs is not None
        proofs = export_openvino(
            carrier,
            kind,
            graph_file(saved, "openvino", "int8").parent,
            precision="int8",
            pairs=pairs,
            calibration=calibration,
            keep_float=keep_float,
            overwrite=True,
        )
        if self.onnx:
            place = graph_file(saved, "onnxruntime", "int8").parent
            proofs += export_onnx(
                carrier, kind, place, precision="int8", pairs=pairs, overwrite=True
            )
        return proofs

    def _carrier(
        self,
        workspace: Workspace,
        batches: list[dict[str, Tensor]],
        keep_float: tuple[str, ...],
    ) -> Any:
        """What is exported: the model, or a copy of it that carries scales."""
        if rounds(workspace.model):
            carrier, errors = carried(workspace.model, batches)
            rows = [{"layer": layer, "loss": loss} for layer, loss in errors]
            workspace.record.write("requantized_by_layer", model=workspace.name, rows=rows)
            return carrier
        if self.scales == "nncf":
            return workspace.model
        carrier = copy.deepcopy(workspace.model)
        carry_scales(
            carrier,
            batches,
            method=self.ranges,
            smooth=self.smooth,
            correct_bias=self.correct_bias,
            keep_float=keep_float,
        )
        return carrier

    def _kept(
        self,
        workspace: Workspace,
        saved: Path,
        export: Callable[[tuple[str, ...]], list[Proof]],
        layers: list[str],
    ) -> tuple[str, ...]:
        """The fewest layers in floating point with which dev keeps its quality, worst first."""
        assert self.keep is not None
        task, dev = workspace.dataset.task, workspace.dataset.dev
        encoded = encode_examples(dev, workspace.tokenizer, task.kind, self.max_length)
        exact = outputs(workspace.model, encoded, task.kind, precision="fp32")
        targets = np.stack(exact) if task.about.output == "vector" else None
        asked = self.keep * quality(exact, encoded, task, targets)

        def holds(count: int) -> bool:
            export(tuple(layers[:count]))
            said = session_outputs(_opened(saved, "openvino"), encoded)
            found = quality(said, encoded, task, targets)
            workspace.record.write(
                "kept_float",
                model=workspace.name,
                layers=layers[:count],
                quality=found,
                asked=asked,
            )
            return found >= asked

        count = least_kept(len(layers) - 1, holds)
        if count is None:
            raise NoEffect(
                f"keep: with all but one of {len(layers)} layers in floating point dev does not "
                f"reach {asked:.4f}; ask for less, or train the model to round (quantize-aware)"
            )
        return tuple(layers[:count])

    def _losses(
        self, workspace: Workspace, batches: list[dict[str, Tensor]]
    ) -> list[tuple[str, float]]:
        """Which layer loses most in int8, each alone, by min-max ranges: the worst first."""
        ranges = observe_ranges(workspace.model, batches)
        losses = quantization_loss(workspace.model, ranges, batches)
        rows = [
            {
                "layer": layer,
                "loss": loss,
                "low": ranges[layer].low,
                "high": ranges[layer].high,
                "weight": float(workspace.model.get_submodule(layer).weight.detach().abs().max()),
            }
            for layer, loss in losses
        ]
        workspace.record.write("losses_by_layer", model=workspace.name, rows=rows)
        return losses


def _opened(saved: Path, backend: str) -> Session:
    """The int8 graph of a folder that has no manifest yet."""
    kinds: dict[str, Any] = {"openvino": OpenVinoSession, "onnxruntime": OnnxSession}
    session: Session = kinds[backend](graph_file(saved, backend, "int8"), "int8")
    return session
