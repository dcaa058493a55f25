import math
from dataclasses import replace

import pytest
import torch
from distill.objectives.naive import STUDENT, TEACHER, outputs, random
from torch import Tensor

from leanformer.data import IGNORE
from leanformer.distill.objectives import Labels

NONE = [None, torch.full((4,), IGNORE), torch.full((4,), math.nan)]


def compared(logits: Tensor, labels: Tensor | None) -> Tensor:
    module = Labels().build(STUDENT, TEACHER)
    loss: Tensor = module(outputs(logits), outputs(logits, TEACHER), labels)
    return loss


def test_classes_equal_the_equation_and_the_unlabelled_have_no_share() -> None:
    logits = random(4, 3).requires_grad_()
    loss = compared(logits, torch.tensor([2, IGNORE, 0, IGNORE]))
    expected = -(logits.log_softmax(-1)[0, 2] + logits.log_softmax(-1)[2, 0]) / 2
    torch.testing.assert_close(loss, expected)
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope[[1, 3]].abs().sum() == 0
    assert slope[[0, 2]].abs().sum() > 0


def test_numbers_equal_the_equation_and_the_unlabelled_have_no_share() -> None:
    logits = random(4, 1).requires_grad_()
    loss = compared(logits, torch.tensor([0.5, math.nan, math.nan, 2.0], dtype=torch.float64))
    expected = ((logits[0] - 0.5).pow(2) + (logits[3] - 2).pow(2)).squeeze() / 2
    torch.testing.assert_close(loss, expected)
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope[[1, 2]].abs().sum() == 0


def test_words_are_compared_at_their_first_pieces() -> None:
    logits = random(1, 4, 3)
    loss = compared(logits, torch.tensor([[IGNORE, 1, IGNORE, 0]]))
    expected = -(logits.log_softmax(-1)[0, 1, 1] + logits.log_softmax(-1)[0, 3, 0]) / 2
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("labels", NONE)
def test_a_batch_without_labels_has_no_loss_and_no_gradient(labels: Tensor | None) -> None:
    width = 1 if labels is not None and labels.is_floating_point() else 3
    logits = random(4, width).requires_grad_()
    loss = compared(logits, labels)
    assert loss.item() == 0
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope.abs().sum() == 0


def test_gradient() -> None:
    labels = torch.tensor([2, IGNORE, 0, 1])
    assert torch.autograd.gradcheck(lambda z: compared(z, labels), (random(4, 3).requires_grad_(),))


def test_decisions_have_binary_cross_entropy() -> None:
    dims = replace(STUDENT, kind="multi-label")
    logits, labels = random(2, 3), torch.tensor([[1.0, 0, 1], [math.nan] * 3])
    found = Labels().build(dims, dims)(outputs(logits), outputs(random(2, 3)), labels)
    shares = torch.sigmoid(logits[0])
    expected = -(shares[0].log() + (1 - shares[1]).log() + shares[2].log()) / 3
    torch.testing.assert_close(found, expected)
