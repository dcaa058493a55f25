"""The bias of relative positions that all layers of an MPNet share, where layers lose heads.

    scores_h = q_h k_hT / sqrt(K) + b_h[i - j]          b: one column per head of the uncut model

Every layer gets the bias of all H heads. A layer that was cut to some of them takes their columns
and no others; which ones they are is a list of the attention module, and of the configuration.

Legend: H head, K head width, i and j the positions of query and key.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from leanformer.models.anatomy.parts import Anatomy

_BIAS = 2  # hidden states, mask, bias: the place of the bias in a call of the attention


def bias_heads(anatomy: Anatomy, layer: nn.Module) -> list[int]:
    """The columns of the shared bias that the heads of a layer take, in their order."""
    attention: Any = anatomy.attention(layer)
    return list(getattr(attention, "bias_heads", range(anatomy.heads(layer))))


def take_bias(anatomy: Anatomy, layer: nn.Module, columns: Sequence[int]) -> None:
    """Let the heads of a layer take these columns of the shared bias, in this order."""
    attention: Any = anatomy.attention(layer)
    if not hasattr(attention, "bias_heads"):
        attention.register_forward_pre_hook(_choose_columns)
    attention.bias_heads = list(columns)


def _choose_columns(attention: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of the attention with the bias of its own heads, [B, h, T, T]."""
    chosen = inputs[_BIAS][:, attention.bias_heads]
    return (*inputs[:_BIAS], chosen, *inputs[_BIAS + 1 :])
