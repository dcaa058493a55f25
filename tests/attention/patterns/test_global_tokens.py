from typing import Any

import pytest
from attention_cases import built, heads_of, places

from leanformer.attention import GlobalTokens


@pytest.mark.parametrize("causal", [False, True])
def test_it_sees_and_is_seen_by_everything(causal: bool) -> None:
    pattern = GlobalTokens(tokens=(0, 6))
    attention: Any = built(pattern, causal)
    found = attention.pattern_mask(places(11, 1), 11)[0, 0]
    for query in range(11):
        for key in range(11):
            seen = query in (0, 6) or key in (0, 6)
            assert found[query, key] == (seen and not (causal and key > query))
    if not causal:
        assert pattern.seen(heads_of(pattern, False), 11) == pytest.approx(found.sum() / 11)


def test_places_beyond_a_text_are_left_out() -> None:
    pattern = GlobalTokens(tokens=(0, 40))
    assert pattern.seen(heads_of(pattern, False), 10) == 1 + 9 / 10


def test_no_place_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tokens\[0\]: -1 is not at least 0"):
        GlobalTokens(tokens=(-1,))
