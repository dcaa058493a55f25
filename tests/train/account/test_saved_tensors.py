import torch
from torch import nn

from leanformer.train.account.saved_tensors import saved_tensors


def test_each_memory_counts_once_and_parameters_do_not() -> None:
    query, key, x = nn.Linear(8, 4), nn.Linear(8, 4), torch.ones(3, 8, requires_grad=True)
    both = nn.ModuleList([query, key])
    with saved_tensors(both) as kept:
        y = query(x) + key(x)
    assert kept.bytes == 3 * 8 * 4
    with saved_tensors(both) as kept:
        y = (y * y.detach().view(4, 3).t().reshape(3, 4)).exp()
    assert kept.bytes == 2 * 3 * 4 * 4  # one factor, and the result of exp
    y.sum().backward()
    del y
    assert kept.bytes == 0
