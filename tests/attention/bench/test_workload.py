import pytest
import torch
from torch.nn import functional as F

from leanformer.attention.bench.workload import Workload, dense, inputs


def test_a_call_runs_the_passes_that_were_asked_for() -> None:
    seen: list[bool] = []

    def system(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        seen.append(torch.is_grad_enabled() and query.requires_grad)
        return F.scaled_dot_product_attention(query, key, value)

    Workload(length=8, num_heads=2, head_dim=4).call(system)()
    Workload(length=8, num_heads=2, head_dim=4, backward=True).call(system)()
    assert seen == [False, True]


def test_texts_are_the_same_each_time() -> None:
    work = Workload(length=8, num_heads=2, head_dim=4, batch=3)
    assert all(torch.equal(a, b) for a, b in zip(inputs(work), inputs(work), strict=True))
    assert inputs(work)[0].shape == (3, 2, 8, 4)


def test_dense_attention_is_causal_where_the_work_is() -> None:
    work = Workload(length=8, num_heads=2, head_dim=4, causal=True)
    query, key, value = inputs(work)
    found = dense(work)(query, key, value)
    torch.testing.assert_close(found[:, :, 0], value[:, :, 0])
    assert work.heads.causal
    assert work.heads.max_length == 8


@pytest.mark.parametrize("causal", [False, True])
def test_dense_attention_with_padding_is_that_of_the_text_alone(causal: bool) -> None:
    work = Workload(length=8, num_heads=2, head_dim=4, batch=3, padded=0.25, causal=causal)
    keep = work.keep_BS
    assert keep is not None
    assert keep.tolist() == [[True] * 6 + [False] * 2] * 3
    query, key, value = inputs(work)
    found = dense(work)(query, key, value, keep)[:, :, :6]
    query, key, value = (x[:, :, :6] for x in (query, key, value))
    alone = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    torch.testing.assert_close(found, alone)


def test_a_text_without_padding_has_no_mask() -> None:
    assert Workload(length=8).keep_BS is None
    given: list[int] = []

    def system(*text: torch.Tensor) -> torch.Tensor:
        given.append(len(text))
        return text[0]

    Workload(length=8, num_heads=2, head_dim=4).call(system)()
    Workload(length=8, num_heads=2, head_dim=4, padded=0.5).call(system)()
    assert given == [3, 4]


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_shares_of_padding_that_leave_no_text_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"padded: {share} of a text; it is at least 0"):
        Workload(length=8, padded=share)


def test_the_clock_waits_for_a_device_that_computes_on_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    Workload(length=8).wait()
    assert not waited
    Workload(length=8, device="cuda:1").wait()
    Workload(length=8, device="mps").wait()
    assert waited == [torch.device("cuda:1"), torch.device("mps")]
