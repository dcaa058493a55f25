import pytest
import torch

from leanformer.models.attended import attended
from leanformer.models.families import FAMILIES, OWN_ATTENTION
from leanformer.models.heads import keep_heads
from leanformer.models.tiny import tiny_model

INPUTS = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
}


WHOLE = {name: values[:1] for name, values in INPUTS.items()}


@pytest.mark.parametrize("before", ["sdpa", "eager"])
@pytest.mark.parametrize("inputs", [INPUTS, WHOLE], ids=["padded", "whole"])
@pytest.mark.parametrize("family", [one for one in FAMILIES if one not in OWN_ATTENTION])
def test_its_scores_give_the_probabilities_of_the_eager_path(
    family: str, inputs: dict[str, torch.Tensor], before: str
) -> None:
    model, _ = tiny_model(family, head="embedding")
    model = model.double()
    model.set_attn_implementation(before)
    with attended(model) as layers:
        output = model(**inputs).last_hidden_state
    model.set_attn_implementation("eager")
    eager = model(**inputs, output_attentions=True)
    real = inputs["attention_mask"].bool()
    # RMSNorm and rotary angles are float32 in every family that has them
    near = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(output[real], eager.last_hidden_state[real], **near)
    assert len(layers) == model.config.num_hidden_layers
    for layer, expected in zip(layers, eager.attentions, strict=True):
        scores = layer.scores()
        assert (layer.computed is scores) == (before == "eager")
        if layer.allowed is not None:
            scores = scores.masked_fill(~layer.allowed, -torch.inf)
        found = scores.softmax(-1).transpose(1, 2)[real]
        torch.testing.assert_close(found, expected.transpose(1, 2)[real], **near)


def test_the_model_is_as_before_afterwards_also_when_it_fails() -> None:
    model, _ = tiny_model("bert")
    before = model.config._attn_implementation
    with pytest.raises(ValueError, match="input_ids"), attended(model):
        model(no_such_input=1)
    assert model.config._attn_implementation == before
    model(**INPUTS)


@pytest.mark.parametrize("before", ["sdpa", "eager"])
def test_layers_of_different_heads_and_gradients(before: str) -> None:
    model, _ = tiny_model("bert")
    model.set_attn_implementation(before)
    keep_heads(model, [[0, 2], [1], [0, 1, 2, 3]])
    with attended(model) as layers:
        model(**INPUTS)
    assert [layer.query.shape[1] for layer in layers] == [2, 1, 4]
    layers[1].scores().sum().backward()
    assert model.bert.embeddings.word_embeddings.weight.grad is not None


def test_attention_is_dropped_while_training_only() -> None:
    model, _ = tiny_model("bert", attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0)
    model.set_attn_implementation("eager")

    def answers() -> torch.Tensor:
        torch.manual_seed(0)
        with attended(model):
            observed = model(**INPUTS).logits
        torch.manual_seed(0)
        torch.testing.assert_close(observed, model(**INPUTS).logits)
        return observed

    assert not torch.equal(model.train() and answers(), model.eval() and answers())


def test_a_model_with_attention_of_its_own_is_refused() -> None:
    class Closed:
        class config:
            _attn_implementation = "eager"

        def set_attn_implementation(self, name: str) -> None:
            """Like transformers: warns and changes nothing."""

    with (
        pytest.raises(ValueError, match="Closed: its attention cannot be observed"),
        attended(Closed()),
    ):
        pass


@pytest.mark.parametrize("family", OWN_ATTENTION)
def test_attention_in_code_of_the_familys_own_is_refused(family: str) -> None:
    model, _ = tiny_model(family, head="embedding")
    with (
        pytest.raises(ValueError, match="does not go through transformers' AttentionInterface"),
        attended(model),
    ):
        pass
