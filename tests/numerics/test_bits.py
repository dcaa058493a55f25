import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.numerics.bits import pack, packed_bytes, unpack


@st.composite
def cases(draw):
    bits = draw(st.integers(1, 8))
    half = 2 ** (bits - 1)
    codes = draw(st.lists(st.integers(-half, half - 1), max_size=40))
    return bits, codes


@given(cases())
def test_round_trip_in_exactly_so_many_bytes(case):
    bits, codes = case
    given = torch.tensor(codes, dtype=torch.int8)
    packed = pack(given, bits)
    assert packed.dtype == torch.uint8
    assert len(packed) == packed_bytes(len(codes), bits) == -(-len(codes) * bits // 8)
    assert torch.equal(unpack(packed, bits, given.shape), given)


@given(cases())
def test_the_stream_is_lowest_bit_first(case):
    """numpy's packbits is the oracle."""
    bits, codes = case
    shifted = np.array(codes, dtype=np.int64) + 2 ** (bits - 1)
    stream = (shifted[:, None] >> np.arange(bits) & 1).astype(np.uint8).reshape(-1)
    expected = np.packbits(stream, bitorder="little")
    assert pack(torch.tensor(codes, dtype=torch.int8), bits).tolist() == expected.tolist()


def test_a_matrix_keeps_its_shape():
    codes = torch.randint(-4, 4, (5, 7), dtype=torch.int8)
    assert torch.equal(unpack(pack(codes, 3), 3, codes.shape), codes)


def test_refusals():
    codes = torch.tensor([3, -4], dtype=torch.int8)
    with pytest.raises(ValueError, match="codes: -4 to 3 do not fit in 2 bits, which hold -2 to 1"):
        pack(codes, 2)
    with pytest.raises(ValueError, match="bits: 9 is not between 1 and 8"):
        pack(codes, 9)
    with pytest.raises(ValueError, match="packed: 1 bytes, but 3 codes of 4 bits take 2"):
        unpack(pack(codes, 4), 4, (3,))
