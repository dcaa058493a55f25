import torch

from leanformer.train.parallel import Parallel
from leanformer.train.ranks import Ranks
from leanformer.train.testing import on_ranks


def _grids() -> list[bool]:
    plans = [Parallel(zero=3), Parallel(zero=1), Parallel(zero=3, replicate=2)]
    one, other, hybrid = (Ranks(plan, torch.device("cpu")).mesh for plan in plans)
    return [one is other, one is hybrid]


def test_trainings_of_one_group_share_its_grid_and_its_connections() -> None:
    assert on_ranks(2, _grids) == [[True, False]] * 2
