import torch

from leanformer.prune.criteria.weights import RandomWeights


def test_the_order_is_fixed_by_the_seed_and_looks_at_nothing() -> None:
    first = RandomWeights(seed=1).score(torch.randn(4, 5), None)
    assert torch.equal(first, RandomWeights(seed=1).score(torch.zeros(4, 5), None))
    assert not torch.equal(first, RandomWeights(seed=2).score(torch.zeros(4, 5), None))
    assert first.unique().numel() == 20
