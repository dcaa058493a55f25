"""torchao's int8, as PyTorch's users run it on a CPU: quantized in one line, then compiled.

    pip install torchao        (a rival in benchmarks; leanformer does not need it)

Weights are int8 for each output, activations are rounded while running, each token by its range.
"""

from typing import Any

import torch
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

from leanformer.runtime.torch_backend import TorchSession


class TorchAoSession(TorchSession):
    """A model of its own: `model` is changed."""

    def __init__(
        self, model: Any, kind: str, *, pairs: bool = False, threads: int | None = None
    ) -> None:
        super().__init__(model, kind, pairs=pairs, threads=threads)
        quantize_(self.graph, Int8DynamicActivationInt8WeightConfig())
        self.graph = torch.compile(self.graph, dynamic=True)
        self.precision = "int8"
        self.pins = {"dtype": "int8 (torchao, compiled)", "threads": self.threads}
