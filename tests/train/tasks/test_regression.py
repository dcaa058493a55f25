import math

import torch
from torch.autograd import gradcheck
from train.tasks.losses import check_parts_add_up, check_unknown_has_no_share

from leanformer.train.tasks import RegressionLoss

LOSS = RegressionLoss()
LOGITS = torch.tensor([[0.5], [-1.0], [2.0]], dtype=torch.float64)
LABELS = torch.tensor([1.0, math.nan, 4.0], dtype=torch.float64)


def test_the_loss_is_the_squared_error_of_the_known_numbers() -> None:
    assert LOSS.total(LOGITS, LABELS).item() == 0.25 + 4
    assert LOSS.known(LABELS).tolist() == [True, False, True]


def test_parts_add_up_and_what_is_unknown_has_no_share() -> None:
    check_parts_add_up(LOSS, LOGITS, LABELS)
    check_unknown_has_no_share(LOSS, LOGITS, torch.full((3,), math.nan))


def test_gradients() -> None:
    assert gradcheck(lambda z: LOSS.total(z, LABELS), LOGITS.clone().requires_grad_())
