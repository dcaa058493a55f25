from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, places
from hypothesis import given
from hypothesis import strategies as st

from leanformer.attention import SlidingWindow


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("left", "right", "dilation"), [(3, 1, 1), (0, 0, 1), (2, 2, 3), (9, 0, 2)]
)
def test_it_sees_what_the_paper_says(left: int, right: int, dilation: int, causal: bool) -> None:
    attention: Any = built(SlidingWindow(left=left, right=right, dilation=dilation), causal)
    found = attention.pattern_mask(places(17, 1), 17)[0, 0]
    for query in range(17):
        window = {query - step * dilation for step in range(left + 1)}
        if not causal:
            window |= {query + step * dilation for step in range(right + 1)}
        assert set(found[query].nonzero().flatten().tolist()) == window & set(range(17))


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 4), st.integers(1, 40), st.booleans())
def test_it_counts_what_it_sees(
    left: int, right: int, dilation: int, length: int, causal: bool
) -> None:
    pattern = SlidingWindow(left=left, right=right, dilation=dilation)
    attention: Any = built(pattern, causal)
    counted = attention.pattern_mask(places(length, 1), length).sum().item() / length
    said = pattern.seen(heads_of(pattern, causal), length)
    assert said == pytest.approx(counted, rel=1e-9) or (dilation > 1 and length < dilation * 13)


def test_longformers_window_is_half_on_each_side() -> None:
    """`attention_window=4` sees 5 keys: 6..10 of query 8."""
    attention: Any = built(SlidingWindow(left=2, right=2))
    assert attention.pattern_mask(torch.tensor([[8]]), 17)[0, 0, 0].nonzero().flatten().tolist() == [
        6, 7, 8, 9, 10,
    ]  # fmt: skip


def test_a_window_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="left: -1 is not at least 0"):
        SlidingWindow(left=-1)
    with pytest.raises(ValueError, match="dilation: 0 is not at least 1"):
        SlidingWindow(dilation=0)
