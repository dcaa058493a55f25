import torch
from torch.nn import functional as F

from leanformer.attention.workload import Workload, dense, inputs


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
