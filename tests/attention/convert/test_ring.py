import pytest
import torch

from leanformer.attention.convert.ring import Mask, Ring, ring_attention
from leanformer.attention.kernels.blocked import sdpa

CPU = torch.device("cpu")


def test_chunks_stand_in_a_ring() -> None:
    assert Ring(4, 2, before=1, after=1).windows(CPU).tolist() == [
        [3, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 0],
    ]  # fmt: skip


def test_a_turn_by_more_than_all_chunks_is_none() -> None:
    """As transformers', which turns by slicing."""
    assert Ring(2, 4, before=3).windows(CPU).tolist() == [[0, 0, 1, 0], [1, 1, 0, 1]]


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_dense_attention_within_windows(causal: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(2, 24, 3, 8, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    keep = torch.ones(2, 24, dtype=torch.bool)
    keep[1, 17:] = False
    ring = Ring(6, 4, before=1, after=1)
    places = torch.arange(24)
    mask = Mask(places.view(1, 6, 4, 1), keep.view(2, 6, 4, 1), causal, hidden=-1e9, itself=-1e5)
    found = ring_attention(query, key, value, ring, mask, sdpa(1.0, 0.0))
    apart = (places[:, None] // 4 - places // 4 + 1) % 6  # 0, 1 or 2 within a window
    added = torch.zeros(2, 1, 24, 24, dtype=torch.float64)
    added = added.masked_fill(~keep[:, None, None], -1e9)
    if causal:
        added = added.masked_fill(places[:, None] < places, -1e9)
    added = added.masked_fill(places[:, None] == places, -1e5)
    added = added.masked_fill(apart > 2, -torch.inf)
    scores = torch.einsum("bthd,bshd->bhts", query, key) + added
    expected = torch.einsum("bhts,bshd->bthd", scores.softmax(-1), value)
    torch.testing.assert_close(found, expected)
