"""Floating-point operations per token of a training step, by the convention that MFU is stated in.

    FLOPs per token = 6 N + 12 L W T         6 L W T instead where tokens see only those before

A multiplication and an addition count as two; the backward pass takes twice the forward one. N
counts the weights of all matrix products with the head, and without embeddings that are looked up;
a tied head counts, since it multiplies. What is computed a second time to save memory does not
count: that makes it model FLOPs, and their share of the peak MFU (Chowdhery et al. 2022,
arXiv:2204.02311).

Legend: N weights, L layers, W width of all heads together, T keys that a query may see: the length
of the row, or the window of a layer that slides.
"""

from typing import Any

from torch import nn

from leanformer.models.anatomy.channels import is_linear, weight_of


def training_flops_per_token(
    model: nn.Module, length: float, *, causal: bool, head: float = 1.0
) -> float:
    """FLOPs of a forward and a backward pass, per token.

    Args:
        model: A transformers language model.
        length: Tokens of a row, on average.
        causal: Whether tokens see only those before them; half of the scores are then needed.
        head: Share of the tokens at which the head is computed: less than 1 where a loss looks at
            its targets alone.
    """
    outputs = getattr(model, "get_output_embeddings", lambda: None)()
    body = last = 0
    for module in model.modules():
        if is_linear(module):
            size = weight_of(module).numel()
            last += size * (module is outputs)
            body += size * (module is not outputs)
    seen = sum(_keys(model.config, length)) * _width(model.config)
    return 6 * (body + head * last) + (6 if causal else 12) * seen


def _keys(config: Any, length: float) -> list[float]:
    """The keys that a query may see in each layer."""
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    window = getattr(config, "sliding_window", None) or length
    near = min(length, 2 * window + 1)
    return [near if kind == "sliding_attention" else length for kind in kinds]


def _width(config: Any) -> int:
    """Width of all heads of a layer together."""
    heads = config.num_attention_heads
    return heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
