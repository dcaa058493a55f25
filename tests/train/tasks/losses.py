"""Checks that hold for the loss of every task."""

import torch
from torch import Tensor

from leanformer.tasks import IGNORE
from leanformer.train.tasks import TaskLoss


def check_negative_log_probability(loss: TaskLoss, logits: Tensor, labels: Tensor) -> None:
    """The loss is that of each label by the equation, written naively."""
    naive = torch.zeros((), dtype=torch.float64)
    for place in (labels != IGNORE).nonzero():
        row = logits[tuple(place)]
        naive -= (row.exp() / row.exp().sum()).log()[labels[tuple(place)]]
    torch.testing.assert_close(loss.total(logits, labels), naive)


def check_parts_add_up(loss: TaskLoss, logits: Tensor, labels: Tensor) -> None:
    """The loss of a batch is the sum of those of its parts, and so are the counts."""
    whole, known = loss.total(logits, labels), loss.known(labels).sum()
    parts = [(logits[:1], labels[:1]), (logits[1:], labels[1:])]
    torch.testing.assert_close(sum(loss.total(*part) for part in parts), whole)
    assert sum(loss.known(part[1]).sum() for part in parts) == known


def check_unknown_has_no_share(loss: TaskLoss, logits: Tensor, blank: Tensor) -> None:
    """Without any label the loss is 0, and nothing is learned from it."""
    logits = logits.clone().requires_grad_()
    assert not loss.known(blank).any()
    total = loss.total(logits, blank)
    assert total.item() == 0
    total.backward()
    assert logits.grad is not None
    assert not logits.grad.any()
