import time
from typing import Any
from unittest import mock

import pytest
import torch

from leanformer.train.ranks import decide, lead, leader
from leanformer.train.testing import on_ranks

PLACE = "leanformer.train.ranks.leader"


@pytest.fixture
def ranks():
    """Two ranks, of which this process plays one after the other."""
    said = []

    def broadcast(words, src):
        if not follower.return_value:
            said.append(words[0])
        else:
            words[0] = said.pop(0)

    with (
        mock.patch(f"{PLACE}.count_ranks", return_value=2),
        mock.patch(f"{PLACE}.join_ranks"),
        mock.patch(f"{PLACE}.follows") as follower,
        mock.patch(f"{PLACE}.dist.broadcast_object_list", broadcast),
        mock.patch(f"{PLACE}._PAUSE", 0.01),
    ):
        yield follower, said


def test_the_first_rank_works_and_the_others_wait(ranks):
    follower, said = ranks
    follower.return_value = False
    assert lead(lambda: time.sleep(0.1) or 7) == 7
    assert said[0] is None  # it said that it was at it
    assert said[-1] == (None, "")
    follower.return_value = True
    assert lead(lambda: pytest.fail("only the first rank works")) is None
    assert said == []


def test_what_fails_on_the_first_rank_fails_on_all(ranks):
    follower, _ = ranks
    follower.return_value = False

    def fail():
        raise FileNotFoundError("no such file")

    with pytest.raises(FileNotFoundError, match="no such file"):
        lead(fail)
    follower.return_value = True
    with pytest.raises(ValueError, match="rank 0: no such file"):
        lead(fail)


def _deciding() -> tuple[Any, Any, str]:
    rank = torch.distributed.get_rank()

    def fail() -> None:
        raise OSError(f"rank {rank} failed")

    with pytest.raises((OSError, ValueError)) as raised:
        lead(fail)
    return decide(lambda: rank + 7), lead(lambda: rank + 8), str(raised.value)


def test_rank_0_decides_and_its_errors_are_those_of_all() -> None:
    assert on_ranks(2, _deciding) == [(7, 8, "rank 0 failed"), (7, None, "rank 0: rank 0 failed")]


def test_a_process_that_is_alone_decides_itself() -> None:
    assert decide(lambda: 3) == 3
    assert lead(lambda: 4) == 4


def _waited() -> tuple[int, int]:
    heard = 0
    real = leader._told

    def told(word: Any) -> Any:
        nonlocal heard
        said = real(word)
        heard += said is None
        return said

    with (
        mock.patch.object(leader, "_told", told),
        mock.patch.object(leader, "_PAUSE", 0.01),
    ):
        return decide(lambda: time.sleep(0.5) or 7), heard


def test_those_who_wait_are_told_that_rank_0_is_still_at_it() -> None:
    (found, said), (same, heard) = on_ranks(2, _waited)
    assert found == same == 7
    assert heard == said > 0
