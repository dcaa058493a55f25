from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import nn

from leanformer.models.families import FAMILIES
from leanformer.models.tied import cpu_state, load_weights, tied_names, weights
from leanformer.models.tiny import tiny_model

HEADS = dict.fromkeys(FAMILIES, "masked") | {"gpt2": "causal", "llama": "causal"}


def tiny(family: str, **settings: Any) -> nn.Module:
    model, _ = tiny_model(family, head=HEADS[family], **settings)
    return model


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_ties_are_those_that_memory_shows_on_a_cpu(family: str, tied: bool) -> None:
    model = tiny(family, tie_word_embeddings=tied)
    state = model.state_dict()
    addresses = {state[name].data_ptr() for name in weights(model)}
    assert len(addresses) == len(weights(model))
    assert addresses == {tensor.data_ptr() for tensor in state.values()}
    for name, own in tied_names(model).items():
        assert state[name].data_ptr() == state[own].data_ptr()


@pytest.mark.parametrize("family", FAMILIES)
def test_ties_are_the_same_on_a_device_without_addresses(family: str) -> None:
    model = tiny(family)
    before, names = cpu_state(model), tied_names(model)
    model.to(shadow())
    assert tied_names(model) == names
    assert weights(model).keys() == before.keys() - names.keys()
    after = cpu_state(model)
    assert {tensor.device.type for tensor in after.values()} == {"cpu"}
    assert all(torch.equal(after[name], before[name]) for name in before)
    other = tiny(family, seed=1).to(shadow())
    load_weights(other, weights(model), "here")
    assert tied_names(other) == names
    assert all(torch.equal(tensor, before[name]) for name, tensor in cpu_state(other).items())


def test_ties_are_found_in_shards() -> None:
    from torch import distributed
    from torch.distributed.fsdp import fully_shard

    model = tiny("bert")
    names, held = tied_names(model), set(weights(model))
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        mesh = distributed.init_device_mesh("cpu", (1,))
        fully_shard(model, mesh=mesh)
        assert tied_names(model) == names
        assert set(weights(model)) == held
    finally:
        distributed.destroy_process_group()


def test_buffers_are_told_apart_and_a_shared_one_is_tied() -> None:
    module = nn.Module()
    shared = torch.arange(3.0)
    for name, tensor in {"a": shared, "b": shared, "c": shared.clone(), "d": shared[:2]}.items():
        module.register_buffer(name, tensor)
    module.register_buffer("unsaved", torch.ones(1), persistent=False)
    assert tied_names(module) == {"b": "a"}
    assert list(weights(module)) == ["a", "c", "d"]


@pytest.mark.parametrize("kind", ["whole", "first", "other"])
def test_tied_weights_are_read_under_any_of_their_names(kind: str) -> None:
    source, target = tiny("bert"), tiny("bert", seed=1)
    names, tensors = tied_names(source), source.state_dict()
    left_out = {"whole": set(), "first": set(names), "other": set(names.values())}[kind]
    load_weights(target, {n: t for n, t in tensors.items() if n not in left_out}, "here")
    assert all(torch.equal(target.state_dict()[name], tensors[name]) for name in tensors)
    assert tied_names(target) == names


def test_a_name_that_does_not_count_leaves_the_tensor_to_its_other_name() -> None:
    model = tiny("bert")
    (table, decoder) = ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight")
    assert tied_names(model)[decoder] == table
    assert decoder not in tied_names(model, without={table})
    assert weights(model, without={table}).keys() == (weights(model).keys() | {decoder}) - {table}
    assert not {table, decoder} & weights(model, without={table, decoder}).keys()


def test_weights_of_another_model_are_refused_and_nothing_is_copied() -> None:
    model = tiny("bert")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    right = {name: torch.zeros_like(tensor) for name, tensor in weights(model).items()}
    bias, word = "bert.embeddings.LayerNorm.bias", "bert.embeddings.word_embeddings.weight"
    missing = {name: tensor for name, tensor in right.items() if "layer.1" not in name}
    tied = {**right, "cls.predictions.decoder.weight": torch.ones_like(right[word])}
    cases = {
        r"here: tensor 'bert.encoder.layer.1\S+' is missing \(and so with 15 more\)": missing,
        r"here: tensor 'stranger' has no place in the model": {**right, "stranger": torch.ones(1)},
        r"LayerNorm.bias' is torch.float32 \[3\] and has to be torch.float32 \[32\]": {
            **right,
            bias: torch.zeros(3),
        },
        r"LayerNorm.bias' is torch.bfloat16 \[32\] and has to be": {
            **right,
            bias: right[bias].bfloat16(),
        },
        r"differs from the one that it is tied to; .* remove them to begin anew": tied,
    }
    for message, tensors in cases.items():
        with pytest.raises(ValueError, match=message):
            load_weights(model, tensors, "here")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
