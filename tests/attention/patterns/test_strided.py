from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, places

from leanformer.attention import Strided


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("stride", [2, 5, 16])
def test_it_sees_what_the_paper_says(stride: int, causal: bool) -> None:
    attention: Any = built(Strided(stride=stride), causal)
    found = attention.pattern_mask(places(23, 1), 23)[0, 0]
    for query in range(23):
        for key in range(23):
            seen = abs(query - key) < stride or (query - key) % stride == 0
            assert found[query, key] == (seen and not (causal and key > query))


def test_two_steps_reach_everything() -> None:
    attention: Any = built(Strided(stride=6), True)
    sees = attention.pattern_mask(places(36, 1), 36)[0, 0].double()
    assert torch.equal((sees @ sees) > 0, torch.ones(36, 36).tril() > 0)


def test_its_cost_is_near_what_it_sees() -> None:
    pattern = Strided(stride=8)
    for causal in (False, True):
        attention: Any = built(pattern, causal)
        counted = attention.pattern_mask(places(640, 1), 640).sum().item() / 640
        assert pattern.seen(heads_of(pattern, causal), 640) == pytest.approx(counted, rel=0.05)


def test_a_stride_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="stride: 1 is not at least 2"):
        Strided(stride=1)
