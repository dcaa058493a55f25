"""Surgery refuses what it cannot do, by name, and before it has changed anything."""

import copy
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from leanformer.models.anatomy import anatomy_of
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.cutting.layers import keep_layers
from leanformer.models.tiny import tiny_model


@pytest.fixture
def bert() -> Any:
    return tiny_model("bert")[0]


def refused_unchanged(model: Any, match: str, cut: Any, keep: Any) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    config = model.config.to_dict()
    with pytest.raises(ValueError, match=match):
        cut(model, keep)
    assert model.config.to_dict() == config
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("cut", [keep_heads, keep_neurons, keep_layers])
def test_an_unknown_architecture_is_named_with_those_that_are_known(cut: Any) -> None:
    config = AutoConfig.for_model(
        "albert", hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20
    )
    refused_unchanged(
        AutoModel.from_config(config), "'albert' is not known.*bert, roberta.*llama", cut, [[0]]
    )


def test_a_thing_that_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="'Linear' is not known"):
        anatomy_of(torch.nn.Linear(2, 2))


def test_cross_attention_is_refused() -> None:
    config = AutoConfig.for_model("bert", is_decoder=True, add_cross_attention=True)
    with pytest.raises(ValueError, match="cross-attention cannot be cut"):
        anatomy_of(config)


@pytest.mark.parametrize(
    ("keep", "match"),
    [
        ([[0], [0], []], "layer 2: no head is kept"),
        ([[0], [4], [0]], "layer 1: head 4 is out of range; there are heads 0 to 3"),
        ([[-1, 2], [0], [0]], "layer 0: head -1 is out of range"),
        ([[0, 1, 0], [0], [0]], "layer 0: head 0 is given twice"),
        ([[0], [0]], "2 layers of heads to keep for a model of 3 layers"),
        ({3: [0]}, "layer 3: the model has layers 0 to 2"),
    ],
)
def test_wrong_heads(bert: Any, keep: Any, match: str) -> None:
    refused_unchanged(bert, match, keep_heads, keep)


@pytest.mark.parametrize(
    ("keep", "match"),
    [
        ([[0], [48], [0]], "layer 1: neuron 48 is out of range; there are neurons 0 to 47"),
        ({1: []}, "layer 1: no neuron is kept"),
    ],
)
def test_wrong_neurons(bert: Any, keep: Any, match: str) -> None:
    refused_unchanged(bert, match, keep_neurons, keep)


@pytest.mark.parametrize(
    ("keep", "match"),
    [
        ([], "no layer is kept"),
        ([0, 3], "layer 3 is out of range"),
        ([1, 1], "layer 1 is given twice"),
    ],
)
def test_wrong_layers(bert: Any, keep: list[int], match: str) -> None:
    refused_unchanged(bert, match, keep_layers, keep)


def test_llama_groups_of_unequal_size() -> None:
    model, _ = tiny_model("llama")
    refused_unchanged(model, r"layer 1: 2 query heads share.*\[1, 2\]", keep_heads, {1: [0, 2, 3]})


def test_gpt2_that_scales_by_layer_number() -> None:
    model, _ = tiny_model("gpt2", scale_attn_by_inverse_layer_idx=True)
    refused_unchanged(model, "from its end only", keep_layers, [0, 2])
    keep_layers(model, [0, 1])
    assert model.config.num_hidden_layers == 2


@pytest.mark.parametrize(("family", "head"), [("t5", "tokens"), ("bert", "summaries")])
def test_no_such_tiny_model(family: str, head: str) -> None:
    with pytest.raises(ValueError, match="is not one of"):
        tiny_model(family, head=head)


def test_a_deberta_with_a_convolution_keeps_its_first_layer() -> None:
    model, _ = tiny_model("deberta-v2", conv_kernel_size=3)
    refused_unchanged(
        model, r"convolution beside its first layer \(encoder.conv, conv_kernel_size\), which would "
        "then work beside layer 1; keep layer 0", keep_layers, [1, 2],
    )  # fmt: skip
    keep_layers(model, [0, 2])
    assert model.config.num_hidden_layers == 2


@pytest.mark.parametrize(
    "bias", [None, [[0, 1], [2]], [[0, 1], [2], [4]], [[0], [2], [3]], [[0, 1], [2], 3]]
)
def test_columns_of_a_shared_bias_that_do_not_fit_the_heads(bias: Any) -> None:
    model, _ = tiny_model("mpnet")
    keep_heads(model, [[0, 1], [2], [3]])
    config = copy.deepcopy(model.config)
    assert config.lean["bias_heads"] == [[0, 1], [2], [3]]
    config.lean["bias_heads"] = bias
    with pytest.raises(
        ValueError, match=r"lean\.bias_heads is .* must list, for each layer, which"
    ):
        AutoModel.from_config(config)
