import pytest
import torch
from shadow_device import shadow
from torch import nn
from transformers.pytorch_utils import Conv1D

from leanformer.models.anatomy.channels import conv1d
from leanformer.models.tiny import tiny_model
from leanformer.numerics.bits import pack
from leanformer.prune.sparse.sparse_weights import (
    SparseWeight,
    encode_sparse,
    read_sparse,
    sparse_bytes,
    sparse_layers,
    to_dense,
)


def zeroed(family="bert", share=0.7):
    model, _ = tiny_model(family)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2 and "embed" not in name and "classifier" not in name:
            parameter.data[torch.rand_like(parameter) < share] = 0
    return model


@pytest.mark.parametrize("family", ["bert", "gpt2", "modernbert"])
def test_what_is_held_becomes_the_same_layers_again(family):
    model = zeroed(family)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kinds = {name: type(module) for name, module in model.named_modules()}
    names = sparse_layers(model)
    encode_sparse(model, names)
    held = [module for module in model.modules() if isinstance(module, SparseWeight)]
    assert len(held) == len(names)
    assert [len(module.values) for module in held] == list(names.values())
    assert model.config.quantization_config["layers"] == names
    to_dense(model)
    assert {name: type(module) for name, module in model.named_modules()} == kinds
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_a_layer_of_either_class_is_itself_again():
    weight = torch.randn(5, 3)
    weight[weight < 0.5] = 0
    for layer in (nn.Linear(3, 5), nn.Linear(3, 5, bias=False), conv1d(weight, None)):
        if isinstance(layer, nn.Linear):
            layer.weight.data = weight.clone()
        holder = nn.Module()
        holder.config, holder.one = type("C", (), {})(), layer
        x = torch.randn(2, 3)
        expected = layer(x)
        encode_sparse(holder, {"one": int((weight != 0).sum())})
        again = holder.one.dense()
        assert isinstance(again, type(layer))
        assert isinstance(again, Conv1D) == isinstance(layer, Conv1D)
        torch.testing.assert_close(again(x), expected)


def test_bytes_are_a_bit_a_weight_and_the_values():
    model = zeroed()
    names = sparse_layers(model)
    sizes = {name: model.get_submodule(name).weight.numel() for name in names}
    found = sparse_bytes(model, names)
    assert found["bitmaps"] == sum(sizes.values()) // 8
    assert found["values"] == 4 * sum(names.values())
    encode_sparse(model, names)
    assert sum(found.values()) == sum(
        tensor.numel() * tensor.element_size() for tensor in model.state_dict().values()
    )


def test_a_dense_model_has_nothing_to_leave_out():
    with pytest.raises(ValueError, match="no matrix of the layers has zeros to leave out"):
        sparse_layers(zeroed(share=0.01))


def test_another_architecture_is_refused():
    model, _ = tiny_model("bert")
    with pytest.raises(ValueError, match="names 1 layers, and none of them is in Bert"):
        read_sparse(model, {"elsewhere": 3})


def test_sizes_are_the_same_on_a_device_without_addresses():
    model, _ = tiny_model("bert", head="masked")
    names = {"bert.encoder.layer.0.output.dense": 5}
    asked = sparse_bytes(model, names)
    left = sum(p.nbytes for p in model.parameters()) - model.get_submodule(*names).weight.nbytes
    assert (asked["values"], asked["float"]) == (20, left)
    assert sparse_bytes(model.to(shadow()), names) == asked


def test_values_that_do_not_belong_to_the_bitmap_are_refused():
    layer = nn.Linear(4, 2)
    weight = torch.tensor([[1.0, 0, 0, 2], [0, 3, 0, 0]])
    bits = pack((weight != 0).to(torch.int8) - 1, 1)
    assert torch.equal(SparseWeight(layer, bits, weight[weight != 0]).dense().weight, weight)
    with pytest.raises(ValueError, match="keeps 3 of 2 x 4 weights, and there are 2 values"):
        SparseWeight(layer, bits, torch.ones(2)).dense()
