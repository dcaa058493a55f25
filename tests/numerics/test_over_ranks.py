import torch
import torch.distributed as dist

from leanformer.numerics.over_ranks import added, largest, sharing_rows
from leanformer.train.testing import on_ranks


def joined() -> tuple[list[float], list[float]]:
    rank = dist.get_rank()
    seen = torch.tensor([1.0 + rank, -2.0 * rank])
    with sharing_rows(counted=1.0 if rank < 2 else 0.0):
        return added(seen).tolist(), largest(seen).tolist()


def test_alone_they_give_back_what_they_are_given() -> None:
    seen = torch.randn(3)
    assert added(seen) is seen
    assert largest(seen) is seen


def test_sums_leave_out_rows_that_another_rank_counts() -> None:
    assert on_ranks(3, joined) == [([3.0, -2.0], [3.0, 0.0])] * 3
