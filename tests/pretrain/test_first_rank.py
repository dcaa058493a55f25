import time
from unittest import mock

import pytest

from leanformer.pretrain.first_rank import on_first_rank

PLACE = "leanformer.pretrain.first_rank"


@pytest.fixture
def ranks():
    """Two ranks, of which this process plays one after the other."""
    said = []

    def broadcast(words, src):
        if rank.return_value == 0:
            said.append(words[0])
        else:
            words[0] = said.pop(0)

    with (
        mock.patch(f"{PLACE}.count_ranks", return_value=2),
        mock.patch(f"{PLACE}.dist.get_rank") as rank,
        mock.patch(f"{PLACE}.dist.broadcast_object_list", broadcast),
        mock.patch(f"{PLACE}._PAUSE", 0.01),
    ):
        yield rank, said


def test_one_process_does_it_itself():
    assert on_first_rank(lambda: 7) == 7


def test_the_first_rank_works_and_the_others_wait(ranks):
    rank, said = ranks
    rank.return_value = 0
    assert on_first_rank(lambda: time.sleep(0.1) or 7) == 7
    assert said[0] is None  # it said that it was at it
    assert said[-1] == ""
    rank.return_value = 1
    assert on_first_rank(lambda: pytest.fail("only the first rank works")) is None
    assert said == []


def test_what_fails_on_the_first_rank_fails_on_all(ranks):
    rank, _ = ranks
    rank.return_value = 0

    def fail():
        raise FileNotFoundError("no such file")

    with pytest.raises(FileNotFoundError, match="no such file"):
        on_first_rank(fail)
    rank.return_value = 1
    with pytest.raises(ValueError, match="rank 0: no such file"):
        on_first_rank(fail)
