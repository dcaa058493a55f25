import math
from typing import Any

import pytest
import torch

from leanformer.data import IGNORE, Encoded
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.pretrain.evaluation import Evaluator, counted, measured

TEXTS = ["the quick brown fox", "my card was charged twice and I want it back", "fox"]


def rows(tokenizer: Any) -> Encoded:
    """Rows whose labels are the next tokens."""
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    inputs = [{"input_ids": one, "attention_mask": [1] * len(one)} for one in ids]
    return Encoded(inputs, [[*one[1:], IGNORE] for one in ids], 0, 0, "causal-lm")


def test_a_loss_is_that_of_each_text_alone_over_all_predicted_tokens() -> None:
    model, tokenizer = tiny_model("gpt2", head="causal")
    encoded = rows(tokenizer)
    nats, right, tokens = 0.0, 0, 0
    with torch.no_grad():
        for row in encoded.rows:
            ids = torch.tensor([row["input_ids"]])
            logits = model(input_ids=ids).logits[0, :-1].double()
            chances = logits.log_softmax(-1)
            nats -= float(chances.gather(1, ids[0, 1:, None]).sum())
            right += int((logits.argmax(-1) == ids[0, 1:]).sum())
            tokens += ids.shape[1] - 1
    found = measured(model, encoded, "fp32")
    assert found[1:] == (right, tokens)
    assert found[0] == pytest.approx(nats, rel=1e-5)


def test_perplexities_divide_the_same_loss_by_tokens_words_and_bytes() -> None:
    model, tokenizer = tiny_model("gpt2", head="causal")
    encoded = rows(tokenizer)
    evaluator = Evaluator(encoded, "fp32", tokenizer, lambda model: [{"prompt": "a", "text": "b"}])
    quality = evaluator(model)
    found = evaluator.last
    assert found is not None
    assert quality == -found.loss
    nats = found.loss * found.predicted
    words, size = counted(encoded, tokenizer)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    assert found.word_perplexity == pytest.approx(math.exp(nats / words))
    assert found.bits_per_byte == pytest.approx(nats / size / math.log(2))
    assert evaluator.samples == [{"prompt": "a", "text": "b"}]
    assert evaluator.seconds > 0


def test_words_and_bytes_are_those_after_the_first_token() -> None:
    tokenizer = tiny_tokenizer("gpt2")
    text = "the brown fox"
    ids = tokenizer(text)["input_ids"]
    rest = tokenizer.decode(ids[1:])
    assert text.endswith(rest)
    encoded = Encoded([{"input_ids": ids, "attention_mask": [1] * len(ids)}], None, 0, 0, "x")
    assert counted(encoded, tokenizer) == (len(rest.split()), len(rest.encode()))


def test_a_masked_model_has_no_words_and_nothing_to_predict_is_refused() -> None:
    model, tokenizer = tiny_model("bert", head="masked")
    ids = tokenizer("the quick fox")["input_ids"]
    labels = [IGNORE, ids[1], *[IGNORE] * (len(ids) - 2)]
    row = {"input_ids": ids, "attention_mask": [1] * len(ids)}
    evaluator = Evaluator(Encoded([row], [labels], 0, 0, "masked-lm"), "fp32")
    evaluator(model)
    assert evaluator.last is not None
    assert (evaluator.last.predicted, evaluator.last.word_perplexity) == (1, None)
    nothing = Encoded([row], [[IGNORE] * len(ids)], 0, 0, "masked-lm")
    with pytest.raises(ValueError, match="held_out: the held-out documents have no token"):
        measured(model, nothing, "fp32")


def test_a_perplexity_too_large_for_a_float_is_infinite() -> None:
    model, tokenizer = tiny_model("gpt2", head="causal")
    torch.nn.init.constant_(model.transformer.ln_f.weight, 1e8)
    evaluator = Evaluator(rows(tokenizer), "fp32", tokenizer)
    evaluator(model)
    assert evaluator.last is not None
    assert evaluator.last.perplexity == math.inf
