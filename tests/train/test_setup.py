from dataclasses import replace
from typing import Any

import pytest

from leanformer.core.codec import decode, encode
from leanformer.train import TrainSetup
from leanformer.train.optimizers import AdamW, Lamb, Lars, Sgd
from leanformer.train.optimizers.interface import Optimizer
from leanformer.train.schedules import ConstantRate, CosineDecay


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "epochs: 0 is not above 0"),
        ({"learning_rate": -1.0}, "learning_rate: -1.0 is not above 0"),
        ({"steps": 0}, "steps: 0 is not at least 1"),
        ({"tokens": -1}, "tokens: -1 is not at least 1"),
        ({"steps": 1, "tokens": 1}, "steps, tokens: both say how long to train; set one of"),
        ({"start_fraction": 1.0}, "start_fraction: 1.0 is not at least 0 and below 1"),
        ({"batch_size": 0}, "batch_size: 0 is not at least 1"),
        ({"base_batch_size": 0}, "base_batch_size: 0 is not at least 1"),
        ({"max_tokens_per_microbatch": 0}, "max_tokens_per_microbatch: 0 is not at least 1"),
        ({"max_grad_norm": -1.0}, "max_grad_norm: -1.0 is not at least 0"),
        ({"evaluations": -1}, "evaluations: -1 is not at least 0"),
        ({"early_stopping_patience": -1}, "early_stopping_patience: -1 is not at least 0"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds: -1.0 is not at least 0"),
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSetup(**fields)


def test_words_are_checked_where_they_are_read() -> None:
    with pytest.raises(ValueError, match=r"train.precision: 'int8' is not one of"):
        decode(TrainSetup, {"precision": "int8"}, "train")
    with pytest.raises(ValueError, match=r"train.schedule.use: 'step' is no .*technique"):
        decode(TrainSetup, {"schedule": "step"}, "train")
    with pytest.raises(ValueError, match=r"train.optimizer.learning_rate: -1.0 is not above 0"):
        decode(TrainSetup, {"learning_rate": -1.0}, "train")
    setup = TrainSetup(epochs=0.5, schedule=CosineDecay(), optimizer=Sgd(momentum=0.5))
    assert decode(TrainSetup, encode(setup)) == setup


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [(AdamW(), 0.2), (Lamb(), 0.2), (Lars(), 0.2), (Sgd(), 0.4)],
)
def test_a_rate_said_for_one_batch_size_is_scaled_to_another(
    optimizer: Optimizer, rate: float
) -> None:
    setup = TrainSetup(optimizer=optimizer, learning_rate=0.1, batch_size=128)
    assert setup.scaled() is setup
    scaled = replace(setup, base_batch_size=32).scaled()
    assert scaled.optimizer.learning_rate == pytest.approx(rate)
    assert scaled == replace(setup, learning_rate=scaled.optimizer.learning_rate)
    assert scaled.scaled() is scaled
    assert type(scaled.optimizer) is type(optimizer)
    assert replace(setup, base_batch_size=128).scaled() == setup


def test_a_learning_rate_given_for_short_is_the_optimizers() -> None:
    setup = TrainSetup(learning_rate=0.5)
    assert setup == TrainSetup(optimizer=AdamW(learning_rate=0.5))
    assert replace(setup, epochs=1).optimizer == AdamW(learning_rate=0.5)
    assert replace(setup, learning_rate=0.1).optimizer == AdamW(learning_rate=0.1)
    assert replace(setup, optimizer=Sgd()).optimizer == Sgd()
    assert TrainSetup(optimizer=Sgd(momentum=0), learning_rate=0.5).optimizer == Sgd(
        momentum=0, learning_rate=0.5
    )


@pytest.mark.parametrize(
    ("table", "setup"),
    [
        ({"learning_rate": 0.5}, TrainSetup(learning_rate=0.5)),
        ({"learning_rate": 0.5, "optimizer": "sgd"}, TrainSetup(optimizer=Sgd(learning_rate=0.5))),
        (
            {"optimizer": {"use": "adamw", "learning_rate": 0.5, "weight_decay": 0.1}},
            TrainSetup(optimizer=AdamW(learning_rate=0.5, weight_decay=0.1)),
        ),
        ({"schedule": "constant"}, TrainSetup(schedule=ConstantRate())),
    ],
)
def test_a_recipe_says_it_for_short_or_at_length(
    table: Any, setup: TrainSetup, recwarn: Any
) -> None:
    assert decode(TrainSetup, table) == setup
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_recipes_said_before_still_reads() -> None:
    table = {
        "learning_rate": 0.5, "weight_decay": 0.1, "schedule": "cosine", "warmup": 0.2, "clip": 2.0,
        "patience": 3, "start": 0.1, "micro_tokens": 64,
    }  # fmt: skip
    assert decode(TrainSetup, table) == TrainSetup(
        optimizer=AdamW(learning_rate=0.5, weight_decay=0.1),
        schedule=CosineDecay(warmup=0.2),
        max_grad_norm=2.0,
        early_stopping_patience=3,
        start_fraction=0.1,
        max_tokens_per_microbatch=64,
    )


def test_a_rate_in_two_places_is_refused() -> None:
    table = {"learning_rate": 0.5, "optimizer": {"use": "sgd", "learning_rate": 0.1}}
    with pytest.raises(
        ValueError, match=r"train.learning_rate: it is short for optimizer.learning_rate"
    ):
        decode(TrainSetup, table, "train")
