"""Reformer's hashes: the buckets that transformers would give, in the same random numbers.

    h(x) = argmax [x R ; -x R]    h = h_1 + n_1 (h_2 + n_2 (...))  where buckets are n_1 x n_2 x ...

Hidden tokens have one bucket more, behind the others, and each round has numbers of its own.
`leanformer.attention.mechanisms.lsh.angular_hash` differs: all heads share its rotations.

Legend: B batch, T token, R round, H head, D head width, F half of some buckets.
"""

import torch
from torch import Tensor


def factors_of(num_buckets: int | list[int] | None) -> list[int]:
    """Of how many buckets each bucket is made; none where that is not known yet.

    Raises:
        ValueError: A number of buckets is odd.
    """
    if num_buckets is None:
        return []
    factors = [num_buckets] if isinstance(num_buckets, int) else list(num_buckets)
    if any(factor % 2 for factor in factors):
        raise ValueError(
            f"num_buckets: {num_buckets}; each is an even number, half of them mirror the others"
        )
    return factors


def drawn(shape: tuple[int, ...], seed: int | None, like: Tensor) -> Tensor:
    """Random rotations, from a generator of their own where there is a seed."""
    generator = None if seed is None else torch.Generator(like.device).manual_seed(seed)
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


@torch.no_grad()
def hashed(
    x_BTHD: Tensor, rotations_HDRF: Tensor, factors: list[int], attention_mask: Tensor | None
) -> Tensor:
    """The bucket of each vector in each round, [B, H, R, T].

    Args:
        x_BTHD: Vectors.
        rotations_HDRF: What they are turned by, for one factor after the other.
        factors: Of how many buckets each bucket is made.
        attention_mask: [B, T] 0 = hidden; None = all are there.
    """
    turned_BHRTF = torch.einsum("bmtd,mdhr->bmhtr", x_BTHD.transpose(1, 2), rotations_HDRF)
    bucket, count = torch.zeros_like(turned_BHRTF[..., 0], dtype=torch.long), 1
    halves = turned_BHRTF.split([factor // 2 for factor in factors], -1)
    for factor, half in zip(factors, halves, strict=True):
        bucket += count * _largest(half)
        count *= factor
    if attention_mask is not None and attention_mask.sum().item() < attention_mask.numel():
        bucket.masked_fill_(~attention_mask.to(torch.bool)[:, None, None], count)
        count += 1
    rounds = torch.arange(bucket.shape[2], device=bucket.device)
    return bucket + rounds[:, None] * count


def _largest(x_BHRTF: Tensor) -> Tensor:
    """argmax [x ; -x] along the last axis, which is not written down."""
    high, low = x_BHRTF.max(-1), x_BHRTF.min(-1)
    below = low.indices + x_BHRTF.shape[-1]
    return torch.where(high.values >= -low.values, high.indices, below)
