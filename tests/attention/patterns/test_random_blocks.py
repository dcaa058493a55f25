from typing import Any

import pytest
import torch
from attention_cases import built, heads_of, places

from leanformer.attention import RandomBlocks
from leanformer.attention.patterns.random_blocks import drawn_blocks


def draw(blocks: int, **more: Any) -> torch.Tensor:
    settings = {"heads": 8, "count": 3, "seed": 0, "causal": False, **more}
    return drawn_blocks(blocks, there_B=torch.tensor([blocks]), **settings)


def test_blocks_are_distinct_and_never_the_own() -> None:
    found = draw(20)
    assert found.shape == (1, 8, 20, 3)
    for row in found[0].flatten(0, 1).split(1):
        assert len(set(row.flatten().tolist())) == 3
    assert not (found[0] == torch.arange(20)[None, :, None]).any()
    assert found.min() >= 0


def test_every_block_is_drawn_about_as_often() -> None:
    found = draw(16, heads=400)[0]
    drawn = torch.stack([(found == block).sum() for block in range(16)]).double()
    assert (drawn / drawn.mean() - 1).abs().max() < 0.1


def test_seeds_and_heads_draw_differently() -> None:
    found = draw(30)
    assert not torch.equal(found[0, 0], found[0, 1])
    assert not torch.equal(found, draw(30, seed=1))
    assert torch.equal(found, draw(30))


def test_causal_draws_do_not_depend_on_the_length() -> None:
    short, long = draw(9, causal=True), draw(40, causal=True)
    assert torch.equal(short, long[:, :, :9])
    assert (long[0] < torch.arange(40)[None, :, None]).all()
    assert (long[0, :, 0] == -1).all()


def test_a_text_draws_from_its_own_blocks_alone() -> None:
    both = drawn_blocks(12, 4, 3, 0, causal=False, there_B=torch.tensor([12, 5]))
    assert torch.equal(both[1, :, :5], draw(5, heads=4)[0])


def test_it_sees_its_own_and_the_drawn_blocks() -> None:
    pattern = RandomBlocks(num_random_blocks=2, block_size=4, seed=5)
    attention: Any = built(pattern)
    found = attention.pattern_mask(places(24, 1), 24)[0]
    chosen = drawn_blocks(6, 4, 2, 5, causal=False, there_B=torch.tensor([6]))[0]
    for head in range(4):
        for query in range(24):
            blocks = {query // 4, *chosen[head, query // 4].tolist()}
            seen = {key // 4 for key in found[head, query].nonzero().flatten().tolist()}
            assert seen == blocks
    assert found.sum(-1).double().mean() == pattern.seen(heads_of(pattern, False), 24)


def test_impossible_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="num_random_blocks: 0 is not at least 1"):
        RandomBlocks(num_random_blocks=0)
