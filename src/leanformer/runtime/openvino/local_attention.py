"""Local attention in an exported graph: rows that may attend to nothing attend to everything.

A short text beside a long one is padded by more than a local window, so the last padding tokens can
attend to no token at all. For such a row PyTorch's attention gives zeros and OpenVINO's NaN, which
the next layer mixes into every row (0 · NaN is NaN). The outputs of these rows are never read, so
any finite value is right.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "leanformer-export"


@contextmanager
def finite_local_attention(model: Any) -> Iterator[None]:
    """Within it, a model with local attention is traced with finite answers for every row."""
    before = model.config._attn_implementation
    if before != "sdpa" or not has_local_attention(model.config):
        yield
        return
    model.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def has_local_attention(config: Any) -> bool:
    """Whether some layers attend within a window."""
    return "sliding_attention" in (getattr(config, "layer_types", None) or ())


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **settings: Any
) -> Any:
    if mask is not None:
        mask = mask | ~mask.any(-1, keepdim=True)
    return sdpa_attention_forward(module, query, key, value, mask, **settings)


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)
