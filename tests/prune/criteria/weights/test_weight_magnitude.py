import torch

from leanformer.prune.criteria.weights import WeightMagnitude


def test_sign_and_evidence_have_no_say() -> None:
    weight = torch.tensor([[-3.0, 0.0, 2.0]], requires_grad=True)
    scores = WeightMagnitude().score(weight, None)
    assert scores.tolist() == [[3.0, 0.0, 2.0]]
    assert not scores.requires_grad
