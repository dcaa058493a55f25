import torch

from leanformer.prune.patterns import Unstructured


def test_a_unit_is_a_weight() -> None:
    scores = torch.randn(3, 4)
    pattern = Unstructured()
    assert pattern.units(scores) is scores
    assert pattern.spread(scores, (3, 4)) is scores
    assert pattern.max_sparsity() == 1
    assert pattern.protected(scores) is None
