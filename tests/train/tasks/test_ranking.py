import math

import torch
from torch.autograd import gradcheck
from train.tasks.losses import check_parts_add_up, check_unknown_has_no_share

from leanformer.train.tasks import RankingLoss

LOSS = RankingLoss()
LOGITS = torch.randn(3, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([1.0, math.nan, 0.25], dtype=torch.float64)


def test_the_loss_is_the_negative_log_probability_of_each_decision() -> None:
    naive = 0.0
    for logit, label in zip(LOGITS.flatten().tolist(), LABELS.flatten().tolist(), strict=True):
        if not math.isnan(label):
            share = 1 / (1 + math.exp(-logit))
            naive -= label * math.log(share) + (1 - label) * math.log(1 - share)
    torch.testing.assert_close(LOSS.total(LOGITS, LABELS).item(), naive)
    assert LOSS.known(LABELS).sum() == 2


def test_parts_add_up_and_what_is_unknown_has_no_share() -> None:
    check_parts_add_up(LOSS, LOGITS, LABELS)
    check_unknown_has_no_share(LOSS, LOGITS, torch.full_like(LABELS, math.nan))


def test_gradients() -> None:
    assert gradcheck(lambda z: LOSS.total(z, LABELS), LOGITS.clone().requires_grad_())
