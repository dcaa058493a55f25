from typing import Any

import pytest
from torch import nn
from train.toy import FAST, toy

from leanformer.train import Supervised, attention, fit
from leanformer.train.attention import SHORT, short_attention


def test_a_training_on_short_texts_attends_eagerly_and_gives_the_losses_of_sdpa(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses, seen = [], []

    def note(model: Any, progress: Any) -> None:
        seen.append(model.config._attn_implementation)

    for longest in (SHORT, 0):
        monkeypatch.setattr(attention, "SHORT", longest)
        model, encoded = toy(attention_probs_dropout_prob=0.0)
        losses.append(fit(model, encoded, Supervised("classification"), FAST, hooks=[note]).losses)
        assert model.config._attn_implementation == "sdpa"
    half = len(seen) // 2
    assert seen == ["eager"] * half + ["sdpa"] * half
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_a_model_attended_with_comes_back_after_an_error() -> None:
    model, _ = toy()
    with pytest.raises(KeyError), short_attention(model, SHORT):
        assert model.config._attn_implementation == "eager"
        raise KeyError
    assert model.config._attn_implementation == "sdpa"


def test_long_texts_other_attention_and_other_modules_are_left_alone() -> None:
    model, _ = toy()
    with short_attention(model, SHORT + 1):
        assert model.config._attn_implementation == "sdpa"
    with short_attention(model.to("meta"), SHORT):
        assert model.config._attn_implementation == "sdpa"
    with short_attention(nn.Linear(1, 1), SHORT):
        pass
    model, _ = toy()
    model.set_attn_implementation("eager")
    with short_attention(model, SHORT):
        assert model.config._attn_implementation == "eager"
    assert model.config._attn_implementation == "eager"
