from typing import Any

import pytest
import torch
from torch import nn

from leanformer.models.anatomy import anatomy_of, multiplied
from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS


@pytest.mark.parametrize("family", FAMILIES)
def test_the_points_take_one_channel_a_head_and_a_neuron(family: str) -> None:
    model, tokenizer = tiny_model(family)
    anatomy = anatomy_of(model)
    widths: list[tuple[int, int]] = []
    for layer in anatomy.layers(model):
        heads = anatomy.heads(layer) * anatomy.head_dim(layer)
        for point, width in (
            (anatomy.head_point(layer), heads),
            (anatomy.ffn_point(layer), anatomy.ffn_width(layer)),
        ):
            point.register_forward_pre_hook(
                lambda _module, inputs, width=width: widths.append((inputs[0].shape[-1], width))
            )
    model(**tokenizer(list(TEXTS), padding=True, return_tensors="pt"))
    assert widths == [(32, 32), (48, 48)] * model.config.num_hidden_layers


@pytest.mark.parametrize("family", FAMILIES)
def test_every_part_is_there(family: str) -> None:
    model, _ = tiny_model(family, head="embedding")
    anatomy = anatomy_of(model)
    assert anatomy is anatomy_of(model.config)
    assert anatomy.word_embeddings(model) is model.get_input_embeddings()
    for number, layer in enumerate(anatomy.layers(model)):
        norms: list[Any] = [layer.get_submodule(path) for path in anatomy.norms]
        lacks = anatomy.first_norm is not None and number == 0
        assert [isinstance(norm, nn.Identity) for norm in norms] == [lacks, False]
        assert all(norm.weight.shape == (32,) for norm in norms[lacks:])
        assert anatomy.kv_heads(layer) == (2 if family == "llama" else 4)


def test_tiny_models_are_random_by_their_seed() -> None:
    same, other = tiny_model("bert", seed=3)[0], tiny_model("bert", seed=4)[0]
    weight = tiny_model("bert", seed=3)[0].classifier.weight
    assert torch.equal(same.classifier.weight, weight)
    assert not torch.equal(other.classifier.weight, weight)
    assert all(p.abs().sum() > 0 for p in same.parameters())


@pytest.mark.parametrize("family", [f for f in FAMILIES if multiplied(tiny_model(f)[0])])
def test_multiplied_layers_are_those_whose_outputs_make_the_scores(family: str) -> None:
    model, tokenizer = tiny_model(family)
    model.set_attn_implementation("eager")
    names = multiplied(model)
    said: dict[str, Any] = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: said.update({name: output})
        )
    batch = tokenizer(["one text of some words"], return_tensors="pt")
    shown = model(**batch, output_attentions=True).attentions
    assert len(names) == 2 * len(shown)
    for number, weights in enumerate(shown):
        q, k = (said[n].unflatten(-1, (4, 8)).transpose(1, 2) for n in names[2 * number :][:2])
        torch.testing.assert_close((q @ k.mT / 8**0.5).softmax(-1), weights)


def test_rotated_and_fused_queries_and_other_attention_are_not_multiplied_as_they_are() -> None:
    for family in ("modernbert", "llama", "gpt2"):
        assert multiplied(tiny_model(family)[0]) == []
    model, _ = tiny_model("bert")
    assert len(multiplied(model)) == 2 * model.config.num_hidden_layers
    model.config._attn_implementation = "another"
    assert multiplied(model) == []
    assert multiplied(nn.Linear(2, 2)) == []
