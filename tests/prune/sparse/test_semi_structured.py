import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from leanformer.models.tiny import tiny_model
from leanformer.prune.pattern import kept_units
from leanformer.prune.patterns import NOfM
from leanformer.prune.sparse.semi_structured import semi_structured, two_of_four


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 100))
def test_what_the_pattern_keeps_is_two_of_four(rows: int, groups: int, seed: int) -> None:
    weight = torch.randn(rows, 4 * groups, generator=torch.Generator().manual_seed(seed))
    assert not two_of_four(weight)
    (kept,) = kept_units(NOfM(), [weight.abs()], 0.5)
    assert two_of_four(weight * kept)
    kept[0, :3] = True
    assert not two_of_four(weight * kept)


def test_rows_that_are_no_fours_are_none() -> None:
    assert not two_of_four(torch.zeros(2, 6))


def test_a_cpu_has_no_such_kernel() -> None:
    model, _ = tiny_model("bert")
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match="weights are on cpu, where no kernel skips zeros"):
        semi_structured(model)
    for one, other in zip(before, model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_model_without_such_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leanformer.prune.sparse.semi_structured._off", lambda linear: False)
    for dtype in (torch.float16, torch.float32):  # dense, and 2:4 of single precision
        linear = nn.Linear(64, 32).to(dtype)
        if dtype is torch.float32:
            linear.weight.data.unflatten(1, (-1, 4))[..., 2:] = 0
        with pytest.raises(ValueError, match="no linear layer has a 2:4 weight of float16"):
            semi_structured(nn.Sequential(linear))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sparse_kernels_say_what_the_dense_ones_do() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 5)).half().cuda()
    model[0].weight.data.unflatten(1, (-1, 4))[..., 2:] = 0
    x = torch.randn(64, 128, dtype=torch.float16, device="cuda")
    before = model(x)
    assert semi_structured(model) == ["0"]
    torch.testing.assert_close(model(x), before, rtol=1e-2, atol=1e-2)
