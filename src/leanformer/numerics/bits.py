"""Codes of a few bits in the bytes of a file, with nothing between them.

Code n occupies the bits n·b … n·b + b - 1 of the stream, lowest bit first; a byte holds its bits
lowest first too. Codes are signed: they are stored with 2^(b-1) added. So N codes of b bits take
⌈N b / 8⌉ bytes, also where b does not divide 8.

Legend: N codes, b bits.
"""

import torch
from torch import Tensor

_GROUP = 8  # codes: eight of them fill b whole bytes


def pack(codes: Tensor, bits: int) -> Tensor:
    """`codes` of any shape, read row by row, as a uint8 tensor of ⌈N b / 8⌉ bytes.

    Args:
        codes: Integers in [-2^(b-1), 2^(b-1) - 1].
        bits: 1 to 8.

    Raises:
        ValueError: `bits` is out of range, or a code does not fit in them.
    """
    half = _half(bits)
    flat = codes.reshape(-1).to(torch.int16) + half
    if len(flat) and (int(flat.min()) < 0 or int(flat.max()) >= 2 * half):
        raise ValueError(
            f"codes: {int(flat.min()) - half} to {int(flat.max()) - half} do not fit in {bits} "
            f"bits, which hold {-half} to {half - 1}"
        )
    padded = torch.cat([flat, flat.new_zeros(-len(flat) % _GROUP)]).reshape(-1, _GROUP)
    places = torch.arange(bits, dtype=torch.int16, device=codes.device)
    stream = (padded.unsqueeze(-1) >> places & 1).reshape(-1, 8)  # one row a byte
    weights = 2 ** torch.arange(8, dtype=torch.int16, device=codes.device)
    return (stream * weights).sum(1).to(torch.uint8)[: packed_bytes(len(flat), bits)].clone()


def unpack(packed: Tensor, bits: int, shape: tuple[int, ...] | torch.Size) -> Tensor:
    """The int8 codes that `pack` stored, in `shape`.

    Raises:
        ValueError: `bits` is out of range, or `packed` has another size than `shape` needs.
    """
    half, count = _half(bits), torch.Size(shape).numel()
    if len(packed) != packed_bytes(count, bits):
        raise ValueError(
            f"packed: {len(packed)} bytes, but {count} codes of {bits} bits take "
            f"{packed_bytes(count, bits)}; the file is damaged or of another model"
        )
    missing = packed_bytes(-(-count // _GROUP) * _GROUP, bits) - len(packed)
    whole = torch.cat([packed, packed.new_zeros(missing)]).to(torch.int16)
    places = torch.arange(8, dtype=torch.int16, device=packed.device)
    stream = (whole.unsqueeze(-1) >> places & 1).reshape(-1, bits)
    codes = (stream * 2 ** places[:bits]).sum(1)[:count] - half
    return codes.to(torch.int8).reshape(shape)


def packed_bytes(count: int, bits: int) -> int:
    """How many bytes `count` codes take."""
    return -(-count * bits // 8)


def _half(bits: int) -> int:
    if not 1 <= bits <= 8:
        raise ValueError(f"bits: {bits} is not between 1 and 8")
    return 1 << (bits - 1)
