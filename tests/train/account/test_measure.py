"""What is predicted is measured in `test_predict.py`; here is what only a measurement knows."""

from dataclasses import replace

from train.account.test_predict import SAVERS, accounts
from train.toy import FAST

from leanformer.train.memory import CheckpointActivations
from leanformer.train.optimizers import Sgd


def test_selective_checkpoints_hold_more_than_is_kept_in_the_graph() -> None:
    """Which is why what is alive is measured, and why it has no formula."""
    found = [
        accounts("gpt2", replace(FAST, memory=(CheckpointActivations(keep=keep),)))[1].activations
        for keep in ("nothing", "attention", "products")
    ]
    plain = accounts("gpt2", FAST)[1].activations
    assert found[0] < found[1] < found[2] < plain


def test_what_a_step_takes_beside_its_parts_is_temporary() -> None:
    """Here the optimizer is small, so that the peak is within the backward pass."""
    _, chunked = accounts("gpt2", replace(FAST, memory=SAVERS["chunks"], optimizer=Sgd(momentum=0)))
    assert chunked.temporary > chunked.activations / 10
