"""Time encoder layers of given widths in int8 on this machine, without a model.

    x ─ q, k, v ─ softmax(q kᵀ / √d) v ─ output ─ + ─ norm ─ FFN up ─ GELU ─ FFN down ─ + ─ norm

The graph is written op by op with random weights, as the int8 export of a BERT layer looks to
OpenVINO: 8-bit weights with a scale per row, 8-bit inputs of each product, the rest in fp32. It
takes a fraction of a second where exporting and calibrating a real model takes ten. Layers of other
families differ in details (gated FFNs, rotary positions), and less in the ratio of two widths.

Legend: B batch, T token, D hidden width, H heads, F FFN neurons, d width of one head.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from leanformer.core.machine.threads import cores
from leanformer.runtime.openvino.session import import_openvino, openvino_pins

_LAYERS = 2  # of a graph
_ROUNDS = 9


@dataclass(frozen=True, kw_only=True)
class Widths:
    """What one layer consists of.

    Attributes:
        hidden: Width of the model.
        heads: Attention heads.
        head_dim: Width of one head.
        ffn: FFN neurons.
    """

    hidden: int
    heads: int
    head_dim: int
    ffn: int


def time_layers(
    widths: Iterable[Widths], *, rows: int, tokens: int, threads: int | None = None
) -> Mapping[Widths, float]:
    """Seconds that one layer of each of these widths takes for a batch; the best of nine rounds.

    The layers are timed in turns, so that other load on the machine slows all of them alike.

    Args:
        widths: The layers.
        rows: Texts of the batch.
        tokens: Tokens per text.
        threads: Threads of one call; all cores unless given.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    requests = {one: _request(one, threads or cores()) for one in dict.fromkeys(widths)}
    random = np.random.default_rng(0)
    inputs = {
        one: random.standard_normal((rows, tokens, one.hidden), np.float32) for one in requests
    }
    best = dict.fromkeys(requests, float("inf"))
    for turn in range(_ROUNDS + 1):
        for one, request in requests.items():
            began = time.perf_counter()
            request.infer([inputs[one]])
            if turn:  # the first call allocates
                best[one] = min(best[one], time.perf_counter() - began)
    return {one: seconds / _LAYERS for one, seconds in best.items()}


def _request(widths: Widths, threads: int) -> Any:
    """An infer request of a graph of layers."""
    openvino = import_openvino()
    from openvino import opset13 as ops

    hidden = ops.parameter([-1, -1, widths.hidden], np.float32)
    result, builder = hidden, _Builder(ops)
    for _ in range(_LAYERS):
        result = builder.layer(result, widths)
    model = openvino.Model([result], [hidden])
    pins = openvino_pins("int8", threads)
    return openvino.Core().compile_model(model, "CPU", pins).create_infer_request()


class _Builder:
    """Writes layers into a graph of OpenVINO.

    Args:
        ops: OpenVINO's set of operations.
    """

    def __init__(self, ops: Any) -> None:
        self.ops, self.random = ops, np.random.default_rng(0)

    def layer(self, x_BTD: Any, widths: Widths) -> Any:
        """One encoder layer."""
        ops, inner = self.ops, widths.heads * widths.head_dim
        query, key, value = (
            self._heads(self._linear(x_BTD, widths.hidden, inner), widths) for _ in range(3)
        )
        attended = ops.scaled_dot_product_attention(query, key, value)
        joined = ops.reshape(ops.transpose(attended, [0, 2, 1, 3]), [0, 0, inner], True)
        x_BTD = self._norm(ops.add(x_BTD, self._linear(joined, inner, widths.hidden)))
        neurons = ops.gelu(self._linear(x_BTD, widths.hidden, widths.ffn), "erf")
        return self._norm(ops.add(x_BTD, self._linear(neurons, widths.ffn, widths.hidden)))

    def _heads(self, x: Any, widths: Widths) -> Any:
        """[B, T, H·d] as [B, H, T, d]."""
        split = self.ops.reshape(x, [0, 0, widths.heads, widths.head_dim], True)
        return self.ops.transpose(split, [0, 2, 1, 3])

    def _linear(self, x: Any, inputs: int, outputs: int) -> Any:
        """A product of 8-bit integers, with a bias."""
        ops = self.ops
        low, high = np.float32(-4.0), np.float32(4.0)
        rounded = ops.fake_quantize(x, low, high, low, high, 256)
        codes = self.random.integers(-127, 128, (outputs, inputs)).astype(np.int8)
        scales = np.full((outputs, 1), 1 / (127 * inputs**0.5), np.float32)
        weight = ops.multiply(ops.convert(ops.constant(codes), np.float32), scales)
        product = ops.matmul(rounded, weight, False, True)
        return ops.add(product, np.zeros((1, 1, outputs), np.float32))

    def _norm(self, x: Any) -> Any:
        return self.ops.mvn(x, [2], True, 1e-6, "inside_sqrt")
