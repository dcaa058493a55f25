from typing import Any

import pytest
import torch

from leanformer.models.io.tokenizer_files import usable_positions
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.pretrain.architectures import SIZES, Architecture, build


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bert", "masked-lm"),
        ("roberta", "masked-lm"),
        ("modernbert", "masked-lm"),
        ("distilbert", "masked-lm"),
        ("gpt2", "causal-lm"),
        ("llama", "causal-lm"),
        ("qwen3", "causal-lm"),
    ],
)
def test_a_model_has_the_shape_that_was_asked_for(name: str, kind: Any) -> None:
    family = name if name in ("bert", "roberta", "modernbert", "gpt2", "llama") else "bert"
    tokenizer = tiny_tokenizer(family)
    asked = Architecture(architecture=name, layers=2, width=32, heads=2)
    assert asked.kind == kind
    model = build(asked, kind, tokenizer, 24, seed=0)
    assert model.config.num_hidden_layers == 2
    assert model.config.hidden_size == 32
    assert model.config.num_attention_heads == 2
    assert len(model.get_input_embeddings().weight) == len(tokenizer)
    assert usable_positions(model) == 24
    ids = torch.randint(5, len(tokenizer), (2, 24))
    assert model(input_ids=ids).logits.shape == (2, 24, len(tokenizer))
    again = build(asked, kind, tokenizer, 24, seed=0).state_dict()
    assert all(torch.equal(one, again[key]) for key, one in model.state_dict().items())


def test_sizes_and_what_overrides_them() -> None:
    assert Architecture(size="base").shape == (12, 768, 12) == SIZES["base"]
    assert Architecture(size="base", width=256).shape == (12, 256, 4)
    assert Architecture(layers=3, heads=4).shape == (3, 384, 4)


def test_settings_reach_the_configuration_and_unknown_ones_are_refused() -> None:
    tokenizer = tiny_tokenizer("bert")
    small: dict[str, Any] = {"architecture": "bert", "layers": 1, "width": 32, "heads": 2}
    asked = Architecture(**small, settings={"hidden_dropout_prob": 0.0, "intermediate_size": 40})
    model = build(asked, "masked-lm", tokenizer, 16, 0)
    assert model.config.hidden_dropout_prob == 0
    assert model.config.intermediate_size == 40
    with pytest.raises(ValueError, match="there is no field 'hiden_dropout'"):
        build(Architecture(**small, settings={"hiden_dropout": 0}), "masked-lm", tokenizer, 16, 0)
    with pytest.raises(ValueError, match="does not build bert with these settings"):
        wrong = Architecture(**small, settings={"hidden_act": "no-such"})
        build(wrong, "masked-lm", tokenizer, 16, 0)
    with pytest.raises(ValueError, match="kind: gpt2 has no head for masked-lm"):
        build(Architecture(), "masked-lm", tokenizer, 16, 0)


def test_reversible_layers_are_those_of_a_decoder() -> None:
    small: dict[str, Any] = {"layers": 2, "width": 32, "heads": 2}
    tokenizer = tiny_tokenizer("llama")
    made = build(
        Architecture(architecture="llama", reversible=True, **small), "causal-lm", tokenizer, 16, 0
    )
    assert made.config.quantization_config == {"quant_method": "leanformer-reversible"}
    with pytest.raises(ValueError, match="'bert' has no reversible form"):
        bert = Architecture(architecture="bert", reversible=True, **small)
        build(bert, "masked-lm", tiny_tokenizer("bert"), 16, 0)
