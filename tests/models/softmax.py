"""Softmax in the precision of its input: transformers' eager attention computes it in fp32, whose
sums over rows of other lengths differ by 1e-7 where the CPU has AVX-512."""

from typing import Any

import pytest
import torch
from torch import Tensor


@pytest.fixture
def exact_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.nn.functional.softmax

    def softmax(scores: Tensor, *arguments: Any, dtype: Any = None, **named: Any) -> Tensor:
        widest = None if scores.dtype == torch.float64 else dtype
        return real(scores, *arguments, dtype=widest, **named)

    monkeypatch.setattr(torch.nn.functional, "softmax", softmax)
