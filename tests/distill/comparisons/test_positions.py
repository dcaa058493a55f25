import pytest
import torch
from distill.objectives.naive import KEEP, TEACHER, outputs, random
from torch import Tensor

from leanformer.data import IGNORE
from leanformer.distill.comparisons.positions import compared


def test_logits_of_examples_are_compared_as_they_are() -> None:
    ours, theirs = outputs(random(2, 4)), outputs(random(2, 4, seed=1), TEACHER)
    assert compared(ours, theirs, None, "real") == (ours.logits, theirs.logits)


def test_logits_of_tokens_are_compared_where_they_are_real_or_labelled() -> None:
    ours, theirs = outputs(random(2, 7, 4)), outputs(random(2, 7, 4, seed=1), TEACHER)
    labels = torch.full((2, 7), IGNORE)
    labels[0, 5] = 1
    for found, given in zip(compared(ours, theirs, labels, "real"), (ours, theirs), strict=True):
        assert torch.equal(found, given.logits[KEEP])
    for found, given in zip(compared(ours, theirs, labels, "masked"), (ours, theirs), strict=True):
        assert torch.equal(found, given.logits[0, 5:6])
    labels[0, 5] = IGNORE
    assert [len(found) for found in compared(ours, theirs, labels, "masked")] == [0, 0]


@pytest.mark.parametrize(
    ("shape", "labels"), [((2, 4), torch.tensor([0, 1])), ((2, 7, 4), None)]
)  # fmt: skip
def test_masked_is_refused_where_tokens_have_no_labels(
    shape: tuple[int, ...], labels: Tensor | None
) -> None:
    given = outputs(random(*shape))
    with pytest.raises(ValueError, match=r"tokens: 'masked' compares tokens .*; use 'real'"):
        compared(given, given, labels, "masked")
