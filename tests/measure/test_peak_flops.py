from unittest import mock

import pytest
import torch

from leanformer.measure.peak_flops import peak_flops


def test_it_is_the_fastest_of_several_products_until_two_seconds_are_over():
    times = iter([0, 0, 0.5, 0.5, 1, 1.25, 1.25, 1.5, 3, 3])
    with mock.patch("time.perf_counter", side_effect=times):
        found = peak_flops(torch.device("cpu"), torch.float32)
    assert found == 2 * 1024**3 / 0.25


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_this_machine_multiplies(dtype):
    assert peak_flops(torch.device("cpu"), dtype) > 1e6
