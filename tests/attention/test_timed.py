import pytest

from leanformer.attention.timed import time_model
from leanformer.models.tiny import tiny_model


def test_a_model_takes_time() -> None:
    model, _ = tiny_model("bert")
    assert time_model(model, 20, rounds=2) > 0


def test_texts_longer_than_the_model_reads_are_refused() -> None:
    model, _ = tiny_model("bert")
    with pytest.raises(ValueError, match="the model reads up to 64 tokens, not 65"):
        time_model(model, 65)
