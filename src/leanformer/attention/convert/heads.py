"""What converted models share: hidden states as heads and back, a refusal, a module taken over.

Legend: B batch, T token, C width of the hidden states, H head, D head width.
"""

from typing import Any

from torch import Tensor, nn


def split_heads(x_BTC: Tensor, heads: int) -> Tensor:
    """One text of D numbers a token for each head, [B, H, T, D]."""
    return x_BTC.unflatten(2, (heads, -1)).transpose(1, 2)


def join_heads(x_BHTD: Tensor) -> Tensor:
    """What the heads have, beside each other, [B, T, C]."""
    return x_BHTD.transpose(1, 2).flatten(2)


def refuse_weights(asked: bool) -> None:
    """Refuse a call that asks for weights of attention.

    Raises:
        ValueError: It does.
    """
    if asked:
        raise ValueError(
            "output_attentions: the converted attention writes no weights down; ask the model "
            "for them before leanformer.attention.convert.convert, or load it again"
        )


class TakesOver:
    """A transformers module with some of its methods written anew: its first base class."""

    def __init__(self, theirs: Any) -> None:
        assert isinstance(self, nn.Module)
        nn.Module.__init__(self)  # nothing is made anew: parameters and settings are theirs
        self.__dict__.update(theirs.__dict__)
