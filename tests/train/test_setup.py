from typing import Any

import pytest

from leanformer.core.codec import decode, encode
from leanformer.train import TrainSetup


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "epochs: 0 is not positive"),
        ({"learning_rate": -1.0}, "learning_rate: -1.0 is not positive"),
        ({"steps": 0}, "steps: 0 is not positive"),
        ({"tokens": -1}, "tokens: -1 is not positive"),
        ({"steps": 1, "tokens": 1}, "steps, tokens: both say how long to train; set one of"),
        ({"start_fraction": 1.0}, "start_fraction: 1.0 is not a share of the steps"),
        ({"batch_size": 0}, "batch_size: 0 is not positive"),
        ({"max_tokens_per_microbatch": 0}, "max_tokens_per_microbatch: 0 is not positive"),
        ({"warmup": 1.0}, r"warmup: 1.0 is not a share of the steps in \[0, 1\)"),
        ({"weight_decay": -0.1}, "weight_decay: -0.1 is negative"),
        ({"max_grad_norm": -1.0}, "max_grad_norm: -1.0 is negative"),
        ({"evaluations": -1}, "evaluations: -1 is negative"),
        ({"early_stopping_patience": -1}, "early_stopping_patience: -1 is negative"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds: -1.0 is negative"),
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSetup(**fields)


def test_words_are_checked_where_they_are_read() -> None:
    for field, value in (("schedule", "step"), ("precision", "int8")):
        with pytest.raises(ValueError, match=f"train.{field}: '{value}' is not one of"):
            decode(TrainSetup, {field: value}, "train")
    setup = TrainSetup(epochs=0.5, schedule="cosine")
    assert decode(TrainSetup, encode(setup)) == setup
