import pytest
import torch

from leanformer.attention.bench.timed import time_model
from leanformer.models.tiny import tiny_model


def test_a_model_takes_time() -> None:
    model, _ = tiny_model("bert")
    assert time_model(model, 20, rounds=2) > 0


def test_texts_longer_than_the_model_reads_are_refused() -> None:
    model, _ = tiny_model("bert")
    with pytest.raises(ValueError, match="the model reads up to 64 tokens, not 65"):
        time_model(model, 65)


def test_a_model_is_called_with_the_mask_that_a_tokenizer_makes() -> None:
    model, _ = tiny_model("bert")
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(
        lambda module, args, named: seen.append(named["attention_mask"]), with_kwargs=True
    )
    time_model(model, 20, rounds=1)
    assert all(torch.equal(mask, torch.ones(1, 20, dtype=torch.long)) for mask in seen)
    assert len(seen) == 2
