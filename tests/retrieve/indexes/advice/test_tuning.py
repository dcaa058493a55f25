import pytest
from index_cases import clustered

from leanformer.retrieve.indexes import BuiltIndex, Exact, Ivf
from leanformer.retrieve.indexes.advice import Truth, true_answers, tune

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def truth() -> Truth:
    return true_answers(clustered(2000), clustered(50, seed=1), 10)


@pytest.fixture(scope="module")
def lists() -> BuiltIndex:
    return Ivf(lists=150).build(clustered(2000), threads=1)


@pytest.mark.parametrize("target", [0.3, 0.8, 0.95, 1.0])
def test_the_effort_is_the_least_that_is_enough(
    truth: Truth, lists: BuiltIndex, target: float
) -> None:
    tuned = tune(lists, truth, target)
    assert tuned.met
    assert tuned.recall == truth.recall(tuned.index) >= target
    less = int(tuned.index.effort / 1.06)
    if less >= 1 and less < tuned.index.effort:
        assert truth.recall(lists.with_effort(less)) < target


def test_what_cannot_be_reached_ends_at_the_most_effort(truth: Truth) -> None:
    coarse = Ivf(lists=100, rescored=1).build(-clustered(2000), threads=1)
    tuned = tune(coarse, truth, 0.9)
    assert not tuned.met
    assert tuned.index.effort == 100
    assert tuned.recall < 0.9


def test_an_exact_search_has_nothing_to_tune(truth: Truth) -> None:
    assert tune(Exact().build(clustered(2000)), truth).met


def test_a_target_that_is_no_share_is_refused(truth: Truth, lists: BuiltIndex) -> None:
    with pytest.raises(ValueError, match=r"target_recall: 1\.5 is not"):
        tune(lists, truth, 1.5)
