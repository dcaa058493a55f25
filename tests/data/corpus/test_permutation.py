import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.data.corpus.permutation import Permutation


@given(size=st.integers(1, 3000), seed=st.integers(0, 2**40))
def test_each_number_comes_once(size: int, seed: int) -> None:
    found = Permutation(size, seed)(np.arange(size))
    assert sorted(found.tolist()) == list(range(size))


@given(size=st.integers(1, 2**50), seed=st.integers(0, 2**40), data=st.data())
def test_numbers_far_apart_do_not_collide(size: int, seed: int, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, size - 1), unique=True, max_size=50))
    permutation = Permutation(size, seed)
    found = permutation(np.array(places, np.int64))
    assert len(set(found.tolist())) == len(places)
    assert all(0 <= number < size for number in found.tolist())
    one_by_one = [int(permutation(np.array([place]))[0]) for place in places]
    assert one_by_one == found.tolist()


def test_seeds_give_other_orders() -> None:
    orders = [Permutation(50, seed)(np.arange(50)).tolist() for seed in range(40)]
    assert len({tuple(order) for order in orders}) == 40


@pytest.mark.parametrize("size", [7, 24])
def test_every_number_is_as_likely_at_every_place(size: int) -> None:
    seeds = 1500
    found = np.stack([Permutation(size, seed)(np.arange(size)) for seed in range(seeds)])
    for place in (0, size // 2, size - 1):
        counts = np.bincount(found[:, place], minlength=size)
        squares = ((counts - seeds / size) ** 2 / (seeds / size)).sum()
        assert squares < size + 6 * (2 * size) ** 0.5  # chi squared, 6 standard deviations
    moved = np.corrcoef(found[:, 0], found[:, 1])[0, 1]
    assert abs(moved) < 0.1 + 1.5 / size
