import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from leanformer.prune.structured.allocation import allocate


def scores(layers: int, units: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(units, generator=generator) + 0.01 for _ in range(layers)]


@given(
    layers=st.integers(1, 5),
    blocks=st.integers(1, 12),
    kept=st.integers(1, 12),
    multiple=st.sampled_from([1, 4, 32]),
    seed=st.integers(0, 99),
)
def test_uniform_keeps_exactly_the_asked_share_of_each_layer(
    layers: int, blocks: int, kept: int, multiple: int, seed: int
) -> None:
    kept = min(kept, blocks)
    given_scores = scores(layers, blocks * multiple, seed)
    for layer, keep in zip(
        given_scores, allocate(given_scores, kept / blocks, multiple, "uniform"), strict=True
    ):
        assert len(keep) == kept * multiple
        assert keep == sorted(set(keep))
        gone = sorted(set(range(len(layer))) - set(keep))
        assert not gone or layer[keep].min() >= layer[gone].max()


@given(
    layers=st.integers(1, 5),
    units=st.integers(2, 30),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 99),
)
def test_global_keeps_the_best_of_the_model_and_one_unit_a_layer(
    layers: int, units: int, share: float, seed: int
) -> None:
    given_scores = scores(layers, units, seed)
    keep = allocate(given_scores, share, 1, "global")
    normed = torch.cat([layer / layer.norm() for layer in given_scores])
    best = set(normed.topk(max(1, round(share * layers * units))).indices.tolist())
    for index, chosen in enumerate(keep):
        expected = sorted(unit - index * units for unit in best if unit // units == index)
        assert chosen == expected if expected else chosen == [int(given_scores[index].argmax())]


@given(
    share=st.floats(0.001, 1), multiple=st.integers(1, 40), units=st.integers(1, 50),
    spread=st.sampled_from(["uniform", "global"]),
)  # fmt: skip
def test_every_layer_keeps_at_least_one_block_or_all(
    share: float, multiple: int, units: int, spread: str
) -> None:
    for keep in allocate(scores(3, units, 0), share, multiple, spread):
        assert min(multiple, units) <= len(keep) <= units
        assert len(keep) % multiple == 0 or len(keep) == units


def test_global_gives_more_to_the_layer_that_needs_more() -> None:
    flat = torch.tensor([1.002, 1.01, 0.99, 1.0])
    steep = torch.tensor([9.0, 0.1, 0.2, 0.1])
    assert allocate([flat, steep], 5 / 8, 1, "global") == [[0, 1, 2, 3], [0]]
    assert allocate([flat, steep], 0.5, 1, "uniform") == [[0, 1], [0, 2]]


@pytest.mark.parametrize("spread", ["uniform", "global"])
def test_everything_can_be_kept(spread: str) -> None:
    assert allocate(scores(2, 6, 0), 1.0, 1, spread) == [list(range(6))] * 2
