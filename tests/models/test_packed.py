from typing import Any

import pytest
import torch
from models.softmax import exact_softmax  # noqa: F401  # a fixture
from transformers import BloomConfig, BloomForCausalLM

from leanformer.data import Encoded
from leanformer.data.packing import cut, documents, pack
from leanformer.models.packed import check_packs, model_inputs
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS
from leanformer.train.loss import Supervised

KIND = "causal-lm"


@pytest.mark.usefixtures("exact_softmax")
@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_texts_are_answered_as_if_they_stood_alone(family: str, attention: str) -> None:
    model, tokenizer = tiny_model(family, head="causal")
    model = model.double()
    model.set_attn_implementation(attention)
    check_packs(model)
    found = documents(TEXTS, tokenizer)
    packed = pack(found, KIND, 40, tokenizer.pad_token_id).encoded
    batch = packed.batch(list(range(len(packed))))
    assert len(packed) < len(found)
    logits = model(**model_inputs(batch.inputs, model)).logits
    alone = {tuple(ids): model(input_ids=torch.tensor([ids])).logits[0] for ids in found}
    seen = 0
    for row, own in zip(packed.rows, logits, strict=True):
        starts = [at for at, place in enumerate(row["position_ids"]) if place == 0]
        for begin, end in zip(starts, [*starts[1:], len(row["input_ids"])], strict=True):
            text = tuple(row["input_ids"][begin:end])
            torch.testing.assert_close(own[begin:end], alone[text], rtol=1e-10, atol=1e-12)
            seen += 1
    assert seen == len(found)


def slopes(model: Any, encoded: Encoded, rows: list[int]) -> list[torch.Tensor]:
    """The gradients of the summed loss of these rows, and at last the loss."""
    model.zero_grad()
    loss, batch = Supervised(KIND), encoded.batch(rows)
    (term,) = loss(model, batch)
    term.total.backward()
    return [parameter.grad.clone() for parameter in model.parameters()] + [term.total.detach()]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_gradients_of_packed_texts_are_the_sum_of_those_of_the_texts(family: str) -> None:
    model, tokenizer = tiny_model(family, head="causal")
    model = model.double()
    found = documents(TEXTS, tokenizer)
    packed = pack(found, KIND, 48, tokenizer.pad_token_id).encoded
    single = cut(found, KIND, 48, tokenizer.pad_token_id)
    assert single.truncated == 0
    ours = slopes(model, packed, list(range(len(packed))))
    each = [slopes(model, single, [index]) for index in range(len(single))]
    for mine, theirs in zip(ours, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(mine, sum(theirs), rtol=1e-9, atol=1e-11)


class Blind(torch.nn.Module):
    """A model that takes positions for nothing but positions, as most code of one's own does."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, input_ids: Any, position_ids: Any = None, **_: Any) -> Any:
        mask = torch.ones_like(input_ids)
        return self.model(input_ids=input_ids, position_ids=position_ids, attention_mask=mask)


def test_a_model_in_which_packed_texts_see_each_other_is_refused() -> None:
    model, _ = tiny_model("llama", head="causal")
    model.train()
    check_packs(model)
    assert model.training
    torch.manual_seed(0)
    bloom = BloomForCausalLM(BloomConfig(vocab_size=99, hidden_size=32, n_layer=2, n_head=4))
    for other, name in ((Blind(model), "Blind"), (bloom, "BloomForCausalLM")):
        with pytest.raises(ValueError, match=f"packing: in {name} the texts of a row see each"):
            check_packs(other)
