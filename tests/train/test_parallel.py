import pytest

from leanformer.core import codec
from leanformer.train.parallel import Parallel
from leanformer.train.setup import TrainSetup


def test_a_plan_takes_all_processes_unless_it_says_how_many():
    assert Parallel(zero=2).fitted(4) == Parallel(data=4, zero=2)
    assert Parallel(data=4, zero=3, replicate=2).fitted(4).replicate == 2
    assert Parallel().fitted(1) == Parallel(data=1)


@pytest.mark.parametrize(
    ("plan", "ranks", "way"),
    [
        (Parallel(data=4), 6, "data = 4, and 6 processes run; .*--nproc-per-node 4 .*data = 6"),
        (Parallel(data=4), 1, "data = 4, and one process runs"),
        (Parallel(data=4, zero=3, replicate=2), 3, "data = 3 and replicate = 1"),
        (
            Parallel(zero=3, replicate=2),
            3,
            "3 ranks .* 2 groups of one size; set replicate = 1 or 3",
        ),
    ],
)
def test_a_plan_for_others_is_refused_with_the_nearest_ones(plan, ranks, way):
    with pytest.raises(ValueError, match=way):
        plan.fitted(ranks)


def test_what_does_not_go_together_is_refused_at_once():
    with pytest.raises(ValueError, match="replicate = 2 or 4, or data = 9"):
        Parallel(data=8, zero=2, replicate=3)
    with pytest.raises(ValueError, match="zero = 0 shares out none; set zero = 1, 2 or 3"):
        Parallel(data=4, replicate=2)


def test_a_recipe_says_it_in_one_block():
    setup = codec.decode(TrainSetup, {"epochs": 1, "parallel": {"data": 4, "zero": 2}})
    assert setup.parallel == Parallel(data=4, zero=2)
    with pytest.raises(ValueError, match="zero"):
        codec.decode(TrainSetup, {"parallel": {"zero": 4}})
