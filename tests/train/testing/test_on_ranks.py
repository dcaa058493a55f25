import os
import signal
import time

import pytest
import torch
import torch.distributed as dist

from leanformer.train.testing import RankFailed, on_ranks


def add(number: float) -> float:
    sum_ = torch.tensor(number * (dist.get_rank() + 1))
    dist.all_reduce(sum_)
    return float(sum_)


def fail() -> None:
    if dist.get_rank() == 1:
        raise RuntimeError("rank 1 cannot")
    dist.barrier()


def die() -> None:
    if dist.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.barrier()


def hang() -> None:
    if dist.get_rank() == 1:
        time.sleep(60)


def test_ranks_form_one_group_and_answer_in_their_order() -> None:
    assert on_ranks(3, add, 2.0) == [12.0] * 3
    assert on_ranks(2, dist.get_rank) == [0, 1]


def test_an_error_is_raised_with_the_traceback_of_its_rank() -> None:
    with pytest.raises(RankFailed, match="rank 1 cannot"):
        on_ranks(2, fail)


def test_a_killed_rank_is_told_from_one_that_hangs() -> None:
    with pytest.raises(RankFailed, match=r"rank 1 .*(killed|SIGKILL|signal 9)"):
        on_ranks(2, die, seconds=30)
    with pytest.raises(RankFailed, match=r"(?s)still running.*in hang"):
        on_ranks(2, hang, seconds=3)
