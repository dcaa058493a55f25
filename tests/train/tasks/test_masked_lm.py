import torch
from torch.autograd import gradcheck
from train.tasks.losses import (
    check_negative_log_probability,
    check_parts_add_up,
    check_unknown_has_no_share,
)

from leanformer.tasks import IGNORE
from leanformer.train.tasks import MaskedLmLoss, loss_of

LOSS = MaskedLmLoss()
LOGITS = torch.randn((3, 7, 5), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.full((3, 7), IGNORE)
LABELS[0, 1], LABELS[2, 6] = 3, 0


def test_the_loss_is_the_negative_log_probability_of_each_label() -> None:
    check_negative_log_probability(LOSS, LOGITS, LABELS)
    assert LOSS.known(LABELS).sum() == 2
    assert loss_of("masked-lm") == LOSS


def test_parts_add_up_and_what_is_unknown_has_no_share() -> None:
    check_parts_add_up(LOSS, LOGITS, LABELS)
    check_unknown_has_no_share(LOSS, LOGITS, torch.full_like(LABELS, IGNORE))


def test_gradients() -> None:
    assert gradcheck(lambda z: LOSS.total(z, LABELS), LOGITS.clone().requires_grad_())
