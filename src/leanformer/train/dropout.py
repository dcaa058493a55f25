"""Dropout switched off for a while.

Dropout keeps a model from learning its examples by heart. A student that is smaller than its
teacher cannot, and what it must hit (hidden states, logits) is no longer hit by the noise: without
it the student learns the same in fewer steps, and each step is cheaper.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Within it, training mode of `model` drops nothing; its settings come back afterwards."""
    before: list[tuple[nn.Module, str, float]] = []
    for module in model.modules():
        # a number where the attention function is handed it, as in Llama and ModernBERT
        for name in ("p",) if isinstance(module, nn.Dropout) else ("attention_dropout",):
            if isinstance(getattr(module, name, None), float):
                before.append((module, name, getattr(module, name)))
                setattr(module, name, 0.0)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
