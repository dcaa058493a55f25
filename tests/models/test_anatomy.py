from typing import Any

import pytest
import torch
from torch import nn

from leanformer.models.anatomy import anatomy_of
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
