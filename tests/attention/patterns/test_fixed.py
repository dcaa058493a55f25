from typing import Any

import pytest
from attention_cases import built, heads_of, places

from leanformer.attention import Fixed


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("block_size", "summary"), [(4, 1), (6, 3), (5, 5)])
def test_it_sees_what_the_paper_says(block_size: int, summary: int, causal: bool) -> None:
    attention: Any = built(Fixed(block_size=block_size, summary=summary), causal)
    found = attention.pattern_mask(places(23, 1), 23)[0, 0]
    for query in range(23):
        for key in range(23):
            seen = (
                query // block_size == key // block_size or key % block_size >= block_size - summary
            )
            assert found[query, key] == (seen and not (causal and key > query))


def test_its_cost_is_near_what_it_sees() -> None:
    pattern = Fixed(block_size=16, summary=2)
    attention: Any = built(pattern, False)
    counted = attention.pattern_mask(places(640, 1), 640).sum().item() / 640
    assert pattern.seen(heads_of(pattern, False), 640) == pytest.approx(counted, rel=0.1)


def test_summaries_longer_than_a_block_are_refused() -> None:
    with pytest.raises(ValueError, match="summary: 9 of the 8 tokens of a block"):
        Fixed(block_size=8, summary=9)
