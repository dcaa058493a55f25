import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.retrieve.searching.reciprocal_rank_fusion import (
    ReciprocalRankFusion,
    reciprocal_rank_fusion,
)

RANKINGS = st.lists(st.lists(st.sampled_from("abcdefg"), unique=True), max_size=4)


@given(RANKINGS, st.floats(0, 100))
def test_scores_are_those_of_the_equation_best_first(rankings: list[list[str]], k: float) -> None:
    found = reciprocal_rank_fusion(rankings, k)
    expected = {
        key: sum(1 / (k + ranking.index(key) + 1) for ranking in rankings if key in ranking)
        for key in {key for ranking in rankings for key in ranking}
    }
    assert found == pytest.approx(expected)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert ReciprocalRankFusion(k=k).fuse(rankings) == found


@given(st.lists(st.sampled_from("abcdefg"), unique=True))
def test_one_ranking_stays_as_it_is(ranking: list[str]) -> None:
    assert list(reciprocal_rank_fusion([ranking])) == ranking
    assert list(reciprocal_rank_fusion([ranking, []])) == ranking


def test_two_good_ranks_beat_one_first_rank_and_equal_scores_keep_their_order() -> None:
    assert list(reciprocal_rank_fusion([["a", "b"], ["c", "b"]])) == ["b", "a", "c"]
    with pytest.raises(ValueError, match=r"k: -1\.0 is not at least 0"):
        ReciprocalRankFusion(k=-1.0)
