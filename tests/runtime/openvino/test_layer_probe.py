"""Layers that are timed run integer products, and more work takes more time in the graph's own count."""

import numpy as np
import pytest

from leanformer.runtime.openvino.layer_probe import Widths, _request, time_layers

pytest.importorskip("openvino", reason="layers are timed in OpenVINO")

WHOLE = Widths(hidden=64, heads=4, head_dim=16, ffn=128)
NARROW = Widths(hidden=64, heads=2, head_dim=16, ffn=64)


def test_every_width_gets_a_time() -> None:
    times = time_layers([WHOLE, NARROW, WHOLE], rows=2, tokens=5, threads=1)
    assert list(times) == [WHOLE, NARROW]
    assert all(0 < seconds < 60 for seconds in times.values())


def test_the_products_of_all_linear_maps_are_of_integers() -> None:
    request = _request(NARROW, 1)
    nodes = [op.get_rt_info() for op in request.get_compiled_model().get_runtime_model().get_ops()]
    kinds = [(one["layerType"].value, one["runtimePrecision"].value) for one in nodes]
    products = [precision for kind, precision in kinds if kind == "FullyConnected"]
    assert len(products) == 2 * 6  # layers; query, key, value, output, up, down
    assert set(products) <= {"u8", "i8"}
    random = np.random.default_rng(0).standard_normal((3, 7, 64), np.float32)
    request.infer([random])
    (output,) = (tensor.data for tensor in request.output_tensors)
    assert output.shape == random.shape
    assert np.isfinite(output).all()
    np.testing.assert_allclose(output.mean(-1), 0, atol=1e-4)  # it ends with a norm
