from typing import Any, ClassVar

import pytest
import torch

from leanformer.attention import (
    LSH,
    Blockwise,
    GlobalTokens,
    Linear,
    Mechanism,
    SlidingWindow,
)
from leanformer.attention.hf.attach import attach
from leanformer.attention.kernels.dense import mix
from leanformer.models.attention.inputs import AttentionInputs
from leanformer.models.attention.observe import observe_attention
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.families import FAMILIES, OWN_ATTENTION
from leanformer.models.tiny import tiny_model

INPUTS = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
}


WHOLE = {name: values[:1] for name, values in INPUTS.items()}
OBSERVED = [family for family in FAMILIES if family not in OWN_ATTENTION]


@pytest.mark.parametrize("before", ["sdpa", "eager"])
@pytest.mark.parametrize("inputs", [INPUTS, WHOLE], ids=["padded", "whole"])
@pytest.mark.parametrize("family", OBSERVED)
def test_its_scores_give_the_probabilities_of_the_eager_path(
    family: str, inputs: dict[str, torch.Tensor], before: str
) -> None:
    model, _ = tiny_model(family, head="embedding")
    model = model.double()
    model.set_attn_implementation(before)
    with observe_attention(model) as layers:
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
    with pytest.raises(ValueError, match="input_ids"), observe_attention(model):
        model(no_such_input=1)
    assert model.config._attn_implementation == before
    model(**INPUTS)


@pytest.mark.parametrize("before", ["sdpa", "eager"])
def test_layers_of_different_heads_and_gradients(before: str) -> None:
    model, _ = tiny_model("bert")
    model.set_attn_implementation(before)
    keep_heads(model, [[0, 2], [1], [0, 1, 2, 3]])
    with observe_attention(model) as layers:
        model(**INPUTS)
    assert [layer.query.shape[1] for layer in layers] == [2, 1, 4]
    layers[1].scores().sum().backward()
    assert model.bert.embeddings.word_embeddings.weight.grad is not None


def test_attention_is_dropped_while_training_only() -> None:
    model, _ = tiny_model("bert", attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0)
    model.set_attn_implementation("eager")

    def answers() -> torch.Tensor:
        torch.manual_seed(0)
        with observe_attention(model):
            observed = model(**INPUTS).logits
        torch.manual_seed(0)
        torch.testing.assert_close(observed, model(**INPUTS).logits)
        return observed

    assert not torch.equal(model.train() and answers(), model.eval() and answers())


def test_a_model_with_attention_of_its_own_is_refused() -> None:
    class Closed(torch.nn.Module):
        class config:
            _attn_implementation = "eager"
            sub_configs: ClassVar[dict[str, Any]] = {}

        def set_attn_implementation(self, name: str) -> None:
            """Like transformers: warns and changes nothing."""

    with (
        pytest.raises(ValueError, match="Closed: its attention cannot be observed"),
        observe_attention(Closed()),
    ):
        pass


NEAR = SlidingWindow(left=1, right=1) | GlobalTokens(tokens=(0,))
BY_HEAD = Blockwise(block_size=2, shifts=(0, 1))
LEFT = {name: values.flip(1) for name, values in INPUTS.items()}


@pytest.mark.parametrize("mechanism", [NEAR, BY_HEAD, Linear(), LSH(buckets=4, window=2)])
@pytest.mark.parametrize("inputs", [INPUTS, WHOLE, LEFT], ids=["padded", "whole", "left"])
@pytest.mark.parametrize("family", OBSERVED)
def test_a_model_attends_by_its_mechanism_while_it_is_observed(
    family: str, inputs: dict[str, torch.Tensor], mechanism: Mechanism
) -> None:
    model, _ = tiny_model(family, head="embedding")
    dense = model(**inputs).last_hidden_state
    done = attach(model, mechanism)
    alone = model(**inputs).last_hidden_state
    with observe_attention(model) as layers:
        observed = model(**inputs).last_hidden_state
    assert torch.equal(observed, alone)
    assert not torch.allclose(observed, dense)
    assert len(layers) == len(done.layers) + len(done.dense)
    assert sum(layer.mechanism is not None for layer in layers) == len(done.layers)
    assert torch.equal(model(**inputs).last_hidden_state, alone)


@pytest.mark.parametrize("mechanism", [NEAR, BY_HEAD], ids=["longformer", "blockwise"])
@pytest.mark.parametrize("inputs", [INPUTS, WHOLE, LEFT], ids=["padded", "whole", "left"])
@pytest.mark.parametrize("family", OBSERVED)
def test_scores_under_the_mask_of_a_pattern_give_what_it_computes(
    family: str, inputs: dict[str, torch.Tensor], mechanism: Mechanism
) -> None:
    model, _ = tiny_model(family, head="embedding")
    attach(model, mechanism)
    with observe_attention(model) as layers:
        model(**inputs)
    for layer in layers:
        scores, mask, core = layer.scores(), layer.mask(), layer.mechanism
        if core is None or mask is None:
            continue
        found = mix(scores, layer.value.repeat_interleave(_groups(layer), 1), mask)
        qkv = (layer.query, layer.key, layer.value)
        expected = core(*qkv, layer.keep, scaling=layer.scaling, dropout=0.0, offset=None)
        real = inputs["attention_mask"].bool()
        found, expected = (x.transpose(1, 2)[real] for x in (found, expected))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def _groups(layer: AttentionInputs) -> int:
    return layer.query.shape[1] // layer.value.shape[1]


def test_a_mechanism_without_dense_scores_is_refused_by_layer_and_name() -> None:
    model, _ = tiny_model("bert")
    attach(model, Linear(), layers=[1])
    with observe_attention(model) as layers:
        model(**INPUTS)
    assert layers[0].scores().shape == (2, 4, 5, 5)
    with pytest.raises(
        ValueError,
        match=r"^bert\.encoder\.layer\.1\.attention\.self: LinearAttention attends in this layer "
        r"and has no scores .*; compare relations, .* or leave the layer dense",
    ):
        layers[1].scores()
    assert layers[1].query.shape == (2, 4, 5, 8)  # these are there all the same


def test_a_step_of_decoding_has_no_mask_of_a_whole_text() -> None:
    model, _ = tiny_model("llama", head="causal")
    attach(model, NEAR)
    cache = model(**WHOLE, use_cache=True).past_key_values
    with observe_attention(model) as layers:
        model(torch.tensor([[7]]), past_key_values=cache)
    with pytest.raises(ValueError, match="PatternAttention attends in this layer"):
        layers[0].mask()


@pytest.mark.parametrize("mechanism", [NEAR, None], ids=["mechanism", "dense"])
def test_recomputed_layers_attend_as_before_after_the_observer_has_gone(
    mechanism: Mechanism | None,
) -> None:
    def slope(checkpointed: bool) -> torch.Tensor:
        model, _ = tiny_model("bert")
        if mechanism is not None:
            attach(model, mechanism)
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        torch.manual_seed(0)
        with observe_attention(model) as layers:
            loss = model(**INPUTS).logits.sum()
        (loss + layers[0].scores().sum()).backward()
        found = model.bert.embeddings.word_embeddings.weight.grad
        assert found is not None
        return found

    torch.testing.assert_close(slope(True), slope(False))


@pytest.mark.parametrize("family", OWN_ATTENTION)
def test_attention_in_code_of_the_familys_own_is_refused(family: str) -> None:
    model, _ = tiny_model(family, head="embedding")
    with (
        pytest.raises(ValueError, match="its attention cannot be observed"),
        observe_attention(model),
    ):
        pass
