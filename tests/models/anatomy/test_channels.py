import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from leanformer.models.anatomy.channels import conv1d, is_linear, weight_of


def test_both_classes_are_the_same_map() -> None:
    linear, x = nn.Linear(3, 5), torch.randn(2, 3)
    turned = conv1d(linear.weight.detach(), linear.bias)
    assert isinstance(turned, Conv1D)
    torch.testing.assert_close(turned(x), linear(x))
    assert torch.equal(weight_of(turned), weight_of(linear))
    assert is_linear(linear)
    assert is_linear(turned)
    assert not is_linear(nn.Embedding(2, 3))


def test_without_a_bias_it_is_zero() -> None:
    turned = conv1d(torch.eye(3), None)
    assert torch.equal(turned(torch.ones(1, 3)), torch.ones(1, 3))


def test_writing_into_the_weight_writes_into_the_layer() -> None:
    turned = conv1d(torch.zeros(2, 3), None)
    weight_of(turned).data.copy_(torch.arange(6.0).reshape(2, 3))
    assert torch.equal(turned.weight, torch.arange(6.0).reshape(2, 3).T)
