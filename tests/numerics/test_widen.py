import pytest
import torch

from leanformer.numerics.widen import widened


@pytest.mark.parametrize(
    ("given", "wide"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_becomes_single_and_double_stays(
    given: torch.dtype, wide: torch.dtype
) -> None:
    values = torch.tensor([1.5, -2.0], dtype=given)
    assert widened(values).dtype == wide
    assert widened(values).tolist() == [1.5, -2.0]
