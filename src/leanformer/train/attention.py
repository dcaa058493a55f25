"""Attention that trains fast on a CPU.

transformers asks torch for SDPA, whose CPU kernel saves memory by computing the scores a second
time in the backward pass. For short texts that costs more than it saves: the backward pass of a
3-layer student on 32-token texts takes 1.8 times as long as with the scores kept (bf16, one
thread). So short texts are trained with `eager` attention, the same equation, and long ones, whose
scores would fill the memory, with SDPA. On a GPU SDPA stays: there it is the fast one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SHORT = 128  # tokens; scores of a micro-batch of 16,384 tokens and 12 heads: 100 MB a layer in fp32


@contextmanager
def short_attention(model: Any, longest: int) -> Iterator[None]:
    """Within it, `model` attends eagerly, if that trains faster; afterwards as it did before.

    Args:
        model: A transformers model, or any module, which is then left alone.
        longest: Tokens of the longest text.
    """
    before = getattr(getattr(model, "config", None), "_attn_implementation", None)
    if longest > SHORT or before != "sdpa" or next(model.parameters()).device.type != "cpu":
        yield
        return
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
