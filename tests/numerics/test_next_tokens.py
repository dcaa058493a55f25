import math

import pytest
import torch
from torch import Tensor

from leanformer.models.tiny import tiny_model
from leanformer.numerics.next_tokens import next_log_likelihoods

TEXTS = ("the quick brown fox jumps over the lazy dog", "a small model", "play some quiet music")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_it_is_the_loss_of_hugging_face_beside_longer_texts(family: str, side: str) -> None:
    model, tokenizer = tiny_model(family, head="causal")
    model, tokenizer.padding_side = model.double(), side
    batch = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    mask_BT = batch["attention_mask"]
    positions = {"position_ids": (mask_BT.cumsum(1) - 1).clamp(min=0)} if side == "left" else {}
    logits = model(**batch, **positions).logits
    found = next_log_likelihoods(logits, batch["input_ids"], mask_BT)
    for text, row in zip(TEXTS, found, strict=True):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        output = model(input_ids=ids, labels=ids)
        by_hand = output.logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        real = row[row != math.inf]
        assert real.dtype == torch.float64
        assert len(real) == ids.shape[1] - 1
        torch.testing.assert_close(real, by_hand, rtol=1e-10, atol=0)
        theirs = output.loss.double()  # summed in fp32 there
        torch.testing.assert_close(-real.mean(), theirs, rtol=1e-6, atol=0)


def test_a_text_of_one_token_predicts_nothing() -> None:
    found = next_log_likelihoods(torch.zeros(1, 1, 4), torch.ones(1, 1).long(), torch.ones(1, 1))
    assert found.tolist() == [[math.inf]]


def test_a_broken_model_is_not_taken_for_the_end_of_a_text() -> None:
    logits: Tensor = torch.zeros(1, 3, 4)
    logits[0, 0] = torch.nan
    found = next_log_likelihoods(logits, torch.ones(1, 3).long(), torch.ones(1, 3))
    assert found[0, 0].isnan()
    torch.testing.assert_close(found[0, 1], torch.tensor(-math.log(4)))
