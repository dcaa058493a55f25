"""Floating-point operations a token, counted by running the model once under PyTorch's counter.

A multiplication and an addition count as two. Embedding look-ups, norms and activations are not
counted: they move memory, they do not multiply matrices.
"""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from leanformer.core.machine.device import device_of
from leanformer.core.quantity import Quantity


def flops_per_token(model: Any, *, tokens: int = 128) -> Quantity:
    """FLOPs of one text over its tokens, head included.

    Args:
        model: A transformers model.
        tokens: Length of the text; fewer where the model reads fewer.

    Raises:
        ValueError: `tokens` is not positive.
    """
    if tokens < 1:
        raise ValueError(f"tokens: {tokens} is not positive")
    tokens = min(tokens, getattr(model.config, "max_position_embeddings", tokens) - 2)
    ids = torch.ones((1, tokens), dtype=torch.long, device=device_of(model))
    counter = FlopCounterMode(display=False)
    training = model.training
    model.eval()
    with counter, torch.no_grad():
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    model.train(training)
    return Quantity(counter.get_total_flops() / tokens, "FLOP/token")
