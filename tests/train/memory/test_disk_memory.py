import gc
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_disk import small_disk

from leanformer.core.storage.disk import DiskFull
from leanformer.train.memory.disk_memory import DiskMemory


@given(
    size=st.lists(st.integers(1, 5), min_size=0, max_size=4),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64, torch.bool, torch.int64]),
    seed=st.integers(0, 9),
)
@settings(max_examples=30, deadline=None)
def test_what_is_read_is_what_was_written(size: list[int], dtype: torch.dtype, seed: int) -> None:
    torch.manual_seed(seed)
    tensor = (torch.randn(size) * 3).to(dtype)
    order = torch.randperm(len(size)).tolist()
    tensor, memory = tensor.permute(order), DiskMemory()
    found = memory.read(memory.write(tensor))
    assert torch.equal(found, tensor)
    assert (found.dtype, found.stride()) == (tensor.dtype, tensor.stride())


def test_regions_are_used_again_when_neither_they_nor_their_tensors_are_needed() -> None:
    memory = DiskMemory()
    region = memory.write(torch.ones(2000))
    length = memory.length
    tensor = memory.read(region)
    del region
    gc.collect()
    other = memory.write(torch.zeros(2000))
    assert memory.length == 2 * length
    assert tensor.eq(1).all()
    del tensor
    gc.collect()
    third = memory.write(torch.full((1900,), 3.0))
    assert memory.length == 2 * length
    assert memory.read(third).eq(3).all()
    assert memory.read(other).eq(0).all()


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "small", 2**16) as place:
        monkeypatch.setattr("tempfile.tempdir", str(place))
        memory = DiskMemory()
        with pytest.raises(DiskFull, match=str(place)):
            memory.write(torch.ones(2**15))
        del memory
