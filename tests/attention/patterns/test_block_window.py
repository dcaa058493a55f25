from typing import Any

import pytest
from attention_cases import built, heads_of, places
from hypothesis import given
from hypothesis import strategies as st

from leanformer.attention import BlockWindow


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("size", "reach"), [(4, 1), (3, 0), (5, 2), (40, 1)])
def test_it_sees_its_block_and_the_neighbours(size: int, reach: int, causal: bool) -> None:
    attention: Any = built(BlockWindow(block_size=size, reach=reach), causal)
    found = attention.pattern_mask(places(17, 1), 17)[0, 0]
    for query in range(17):
        own = query // size
        window = {key for key in range(17) if abs(key // size - own) <= reach}
        if causal:
            window &= set(range(query + 1))
        assert set(found[query].nonzero().flatten().tolist()) == window


@given(st.integers(1, 9), st.integers(0, 4), st.integers(1, 9), st.booleans())
def test_it_counts_what_it_sees(size: int, reach: int, blocks: int, causal: bool) -> None:
    pattern = BlockWindow(block_size=size, reach=reach)
    attention: Any = built(pattern, causal)
    length = size * blocks
    counted = attention.pattern_mask(places(length, 1), length).sum().item() / length
    said = pattern.seen(heads_of(pattern, causal), length)
    assert said == pytest.approx(counted, rel=1e-9)


def test_a_window_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="block_size: 0 is not at least 1"):
        BlockWindow(block_size=0)
