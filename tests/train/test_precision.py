from types import SimpleNamespace

import pytest
import torch
from torch import nn

from leanformer.train.precision import Precision, has_bf16


def trained(name: str, clip: float, factor: float = 1.0) -> tuple[torch.Tensor, Precision]:
    """The change of a weight of gradient (3, 4) * factor by one step of SGD at rate 1."""
    weight = nn.Parameter(torch.zeros(2))
    cast = Precision(name)
    cast.backward((weight * torch.tensor([3.0, 4.0]) * factor).sum())
    optimizer = torch.optim.SGD([weight], lr=1.0)
    cast.unscale(optimizer)
    if clip:
        nn.utils.clip_grad_norm_([weight], clip)
    cast.step(optimizer)
    return -weight.detach(), cast


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_gradients_are_unscaled_before_they_are_clipped(name: str) -> None:
    torch.testing.assert_close(trained(name, clip=0.0)[0], torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(trained(name, clip=1.0)[0], torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(trained(name, clip=9.0)[0], torch.tensor([3.0, 4.0]))


def test_an_overflow_skips_the_step_and_halves_the_scale() -> None:
    change, cast = trained("fp16", clip=1.0, factor=float("inf"))
    assert change.abs().sum() == 0
    assert cast.scaler.get_scale() == Precision("fp16").scaler.get_scale() / 2


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_products_run_in_the_named_precision(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leanformer.train.precision.multiplies_bf16", lambda: True)
    with Precision(name).autocast():
        assert nn.Linear(3, 3)(torch.ones(1, 3)).dtype == dtype


def test_bf16_that_a_cpu_would_imitate_is_run_as_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leanformer.train.precision.multiplies_bf16", lambda: False)
    with Precision("bf16").autocast():
        assert nn.Linear(3, 3)(torch.ones(1, 3)).dtype == torch.float32


def test_a_gpu_runs_bf16_where_it_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for has in (True, False):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda *, including_emulation, has=has: has
        )
        assert Precision("bf16", "cuda").name == ("bf16" if has else "fp32")
    assert has_bf16("mps")


def test_a_backend_of_its_own_is_asked_whether_it_has_bf16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for has in (True, False):
        there = SimpleNamespace(is_bf16_supported=lambda has=has: has)
        monkeypatch.setattr(torch, "get_device_module", lambda _, there=there: there)
        assert has_bf16("other") is has
