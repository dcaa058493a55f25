import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.noise import swapped

IDS = torch.arange(1, 29).reshape(4, 7)
FREE = (IDS % 7 != 1) & (IDS % 7 != 0)


@given(share=st.floats(0, 1), seed=st.integers(0, 99))
def test_free_tokens_become_free_tokens_of_the_batch_and_others_stay(
    share: float, seed: int
) -> None:
    torch.manual_seed(seed)
    found = swapped(IDS, FREE, share)
    assert torch.equal(found[~FREE], IDS[~FREE])
    assert set(found[FREE].tolist()) <= set(IDS[FREE].tolist())


def test_the_asked_share_is_replaced() -> None:
    torch.manual_seed(0)
    ids = torch.arange(40_000).reshape(100, 400)
    changed = swapped(ids, torch.ones_like(ids, dtype=torch.bool), 0.3) != ids
    assert abs(changed.double().mean().item() - 0.3) < 0.01


def test_no_noise_is_no_change() -> None:
    assert swapped(IDS, FREE, 0.0) is IDS
    assert swapped(IDS, torch.zeros_like(FREE), 0.9) is IDS
