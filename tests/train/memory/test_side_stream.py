import pytest
import torch
from shadow_device import shadow

from leanformer.train.memory.side_stream import SideStream


def test_a_device_without_streams_copies_at_once() -> None:
    side = SideStream(shadow())
    assert not side.pinned
    tensor = torch.arange(6.0).view(2, 3).t()
    with side.beside():
        there = side.to_device(tensor)
        back = side.to_host(there)
    assert side.mark() is None
    side.wait(None, there)
    assert there.device.type == "shadow"
    assert torch.equal(back, tensor)
    assert back.stride() == tensor.stride()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_main_stream_waits_for_what_was_copied() -> None:
    side = SideStream(torch.device("cuda", 0))
    tensor = torch.randn(2**22, device="cuda")
    for _ in range(20):
        with side.beside():
            there = side.to_host(tensor)
        done = side.mark()
        tensor = tensor + 1
        done.synchronize()
        with side.beside():
            back = side.to_device(there)
        side.wait(side.mark(), back)
        torch.testing.assert_close(back + 1, tensor)
