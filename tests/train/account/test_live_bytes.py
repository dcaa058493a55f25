import torch
from torch import nn

from leanformer.train.account.live_bytes import LiveBytes


def test_memory_is_counted_once_and_until_it_is_freed() -> None:
    known = torch.zeros(10)
    with LiveBytes([known]) as live:
        assert live.bytes == 40
        view = known.view(2, 5)[0]
        made = torch.zeros(100)
        other = made + 1
        assert live.bytes == 40 + 800
        del other
        assert live.bytes == 40 + 400
        assert live.peak == 40 + 800
    assert view.sum() == made.sum() == 0


def test_a_backward_pass_is_counted_too() -> None:
    layer, x = nn.Linear(64, 64, bias=False), torch.ones(1, 64)
    with LiveBytes([layer.weight, x]) as live:
        before = live.bytes
        layer(x).sum().backward()
        assert live.bytes - before >= 64 * 64 * 4
