from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, places

from leanformer.attention import Blockwise


def test_each_head_sees_the_block_that_its_permutation_says() -> None:
    """BlockBERT's example: three blocks, permutations (1, 2, 3), (2, 3, 1), (3, 1, 2)."""
    attention: Any = built(Blockwise(block_size=4, shifts=(0, 1, 2)))
    found = attention.pattern_mask(places(12, 1), 12)[0]
    for head, order in enumerate([(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 1, 2)]):
        for query in range(12):
            block = order[query // 4]
            assert found[head, query].nonzero().flatten().tolist() == [
                block * 4 + place for place in range(4)
            ]


def test_shifts_wrap_at_the_end_of_each_text() -> None:
    attention: Any = built(Blockwise(block_size=4, shifts=(1,)))
    found = attention.pattern_mask(places(12), 12, torch.tensor([12, 8]))
    assert found[0, 0, 9].nonzero().flatten().tolist() == [0, 1, 2, 3]
    assert found[1, 0, 5].nonzero().flatten().tolist() == [0, 1, 2, 3]


def test_causal_shifts_look_back() -> None:
    attention: Any = built(Blockwise(block_size=3, shifts=(1,)), True)
    found = attention.pattern_mask(places(9, 1), 9)[0, 0]
    assert found[7].nonzero().flatten().tolist() == [3, 4, 5]
    assert found[1].nonzero().flatten().tolist() == [0, 1]


@pytest.mark.parametrize("shifts", [(0,), (0, 1)])
@pytest.mark.parametrize("causal", [False, True])
def test_its_cost_is_near_what_it_sees(shifts: tuple[int, ...], causal: bool) -> None:
    pattern = Blockwise(block_size=16, shifts=shifts)
    attention: Any = built(pattern, causal)
    sees = attention.pattern_mask(places(640, 1), 640).expand(1, 4, -1, -1)
    counted = sees.sum().item() / 640 / 4
    assert pattern.seen(heads_of(pattern, causal), 640) == pytest.approx(counted, rel=0.06)


def test_impossible_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="block_size: 0 is not at least 1"):
        Blockwise(block_size=0)
    with pytest.raises(ValueError, match=r"shifts\[0\]: -1 is not at least 0"):
        Blockwise(shifts=(-1,))
