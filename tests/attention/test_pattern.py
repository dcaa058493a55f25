from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, places, random_text

from leanformer.attention import (
    Blockwise,
    Fixed,
    GlobalTokens,
    RandomBlocks,
    SlidingWindow,
    Strided,
    Union,
)
from leanformer.attention.mechanism import Mechanism
from leanformer.core.codec import decode


def test_it_sees_what_any_of_its_patterns_sees() -> None:
    patterns = (SlidingWindow(left=2, right=1), GlobalTokens(tokens=(3,)), Strided(stride=6))
    whole: Any = built(Union(patterns=patterns))
    at = places(20, 1)
    parts: list[Any] = [built(pattern) for pattern in patterns]
    expected = parts[0].sees(at, 20) | parts[1].sees(at, 20) | parts[2].sees(at, 20)
    assert torch.equal(whole.sees(at, 20), expected)


def test_a_pattern_joined_with_itself_is_itself() -> None:
    """Keys that two patterns see are counted once."""
    text = random_text(70)
    for pattern in (
        SlidingWindow(left=4, right=4),
        Strided(stride=7),
        RandomBlocks(count=2, size=16),
        Blockwise(size=16, shifts=(0, 1)),
        GlobalTokens(tokens=(2,)),
        Fixed(stretch=9, summary=3),
    ):
        once, twice = built(pattern), built(pattern | pattern)
        torch.testing.assert_close(twice(*text), once(*text))


def test_bars_join_flat() -> None:
    a, b, c = SlidingWindow(left=1), GlobalTokens(), Strided(stride=4)
    assert (a | b | c) == Union(patterns=(a, b, c)) == (a | (b | c))


def test_blocks_of_two_sizes_are_cut_finer() -> None:
    text = random_text(150)
    joined: Any = built(
        RandomBlocks(count=1, size=32, seed=3) | Blockwise(size=48, shifts=(0, 0, 1, 2))
    )
    parts: list[Any] = [
        built(RandomBlocks(count=1, size=32, seed=3)),
        built(Blockwise(size=48, shifts=(0, 0, 1, 2))),
    ]
    at = places(150, 1)
    expected = parts[0].sees(at, 150) | parts[1].sees(at, 150)
    assert torch.equal(joined.sees(at, 150), expected)
    assert joined(*text).isfinite().all()


def test_what_cannot_be_joined_is_refused() -> None:
    with pytest.raises(ValueError, match="a union of nothing sees nothing"):
        Union()
    odd = built(RandomBlocks(size=32) | Blockwise(size=45, shifts=(0, 1)))
    with pytest.raises(ValueError, match=r"blocks of \[32, 45\] tokens share none of 16"):
        odd(*random_text(60))
    full = {"use": "union", "patterns": [{"use": "sliding-window"}, {"use": "no-pattern"}]}
    with pytest.raises(ValueError, match=r"patterns\[1\].use: 'no-pattern' is no mechanism"):
        decode(Mechanism, full)


def test_its_cost_is_never_above_dense_attention() -> None:
    heads = heads_of(Union(patterns=(SlidingWindow(),)), False)
    joined = SlidingWindow(left=400, right=400) | SlidingWindow(left=500, right=500)
    assert joined.seen(heads, 512) == 512
