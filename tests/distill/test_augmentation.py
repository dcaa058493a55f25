import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.augmentation import token_swap

IDS = torch.arange(1, 29).reshape(4, 7)
FREE = (IDS % 7 != 1) & (IDS % 7 != 0)


@given(share=st.floats(0, 1), seed=st.integers(0, 99))
def test_free_tokens_become_free_tokens_of_the_batch_and_others_stay(
    share: float, seed: int
) -> None:
    torch.manual_seed(seed)
    found = token_swap(IDS, FREE, share)
    assert torch.equal(found[~FREE], IDS[~FREE])
    assert set(found[FREE].tolist()) <= set(IDS[FREE].tolist())


def test_the_asked_share_is_replaced() -> None:
    torch.manual_seed(0)
    ids = torch.arange(40_000).reshape(100, 400)
    changed = token_swap(ids, torch.ones_like(ids, dtype=torch.bool), 0.3) != ids
    assert abs(changed.double().mean().item() - 0.3) < 0.01


def test_no_noise_is_no_change() -> None:
    assert token_swap(IDS, FREE, 0.0) is IDS
    assert token_swap(IDS, torch.zeros_like(FREE), 0.9) is IDS


def test_noise_follows_the_seed_and_reaches_every_free_token() -> None:
    ids = torch.arange(10_000).reshape(10, 1000)
    free = ids % 1000 >= 500
    torch.manual_seed(3)
    first = token_swap(ids, free, 1.0)
    torch.manual_seed(3)
    assert torch.equal(token_swap(ids, free, 1.0), first)
    assert not torch.equal(token_swap(ids, free, 1.0), first)
    assert (first != ids)[free].double().mean() > 0.99  # a token may be drawn for itself
    assert bool(free.flatten()[first[free]].all())  # what is drawn was free
    assert torch.equal(first[~free], ids[~free])
