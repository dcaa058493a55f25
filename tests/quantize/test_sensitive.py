import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.quantize.sensitive import least_kept


@given(st.integers(1, 200), st.data())
def test_it_is_the_least_where_more_layers_never_hurt(most, data):
    needed = data.draw(st.integers(0, most))
    asked = []

    def holds(kept):
        assert 0 <= kept <= most
        asked.append(kept)
        return kept >= needed

    assert least_kept(most, holds) == needed
    assert len(asked) == len(set(asked)), "nothing is measured twice"
    assert len(asked) <= 2 * math.log2(most + 1) + 3


@pytest.mark.parametrize("most", [1, 2, 5, 36])
def test_none_holds(most):
    asked = []
    assert least_kept(most, lambda kept: asked.append(kept)) is None
    assert max(asked) == most


@given(st.sets(st.integers(0, 40)))
def test_what_is_found_held_and_a_smaller_one_was_tried_that_did_not(good):
    tried = {}

    def holds(kept):
        tried[kept] = kept in good
        return tried[kept]

    found = least_kept(40, holds)
    if found is None:
        assert not any(tried.values())
    else:
        assert tried[found]
        assert all(not held for kept, held in tried.items() if kept < found)
