from typing import Any

import pytest

from leanformer.core.codec import decode, encode
from leanformer.train import TrainSetup


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "epochs: 0 is not positive"),
        ({"learning_rate": -1.0}, "learning_rate: -1.0 is not positive"),
        ({"batch_size": 0}, "batch_size: 0 is not positive"),
        ({"micro_tokens": 0}, "micro_tokens: 0 is not positive"),
        ({"warmup": 1.0}, r"warmup: 1.0 is not a share of the steps in \[0, 1\)"),
        ({"weight_decay": -0.1}, "weight_decay: -0.1 is negative"),
        ({"clip": -1.0}, "clip: -1.0 is negative"),
        ({"evaluations": -1}, "evaluations: -1 is negative"),
        ({"patience": -1}, "patience: -1 is negative"),
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
