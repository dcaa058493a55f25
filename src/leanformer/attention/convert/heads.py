"""Hidden states as heads and back, as all transformers' models lay them out.

Legend: B batch, T token, C width of the hidden states, H head, D head width.
"""

from torch import Tensor


def split_heads(x_BTC: Tensor, heads: int) -> Tensor:
    """One text of D numbers a token for each head, [B, H, T, D]."""
    return x_BTC.unflatten(2, (heads, -1)).transpose(1, 2)


def join_heads(x_BHTD: Tensor) -> Tensor:
    """What the heads have, beside each other, [B, T, C]."""
    return x_BHTD.transpose(1, 2).flatten(2)
