"""A copy of a model in half precision whose buffers stay as precise as they were.

    parameters      bf16: half of the memory, and what products are computed in
    buffers         as they are: rotary frequencies, scales, centroids

`model.to(torch.bfloat16)` rounds buffers too. A rotary embedding turns the query at position p by
the angle p · ω, so an ω with 8 significant bits is off by up to p · ω / 512: at 1,024 tokens by two
radians in the fastest channel. transformers computes these angles in fp32 from an fp32 ω and rounds
the sines only; `from_pretrained(dtype=torch.bfloat16)` keeps ω in fp32 too.
"""

import copy
from typing import TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)

_ADDED = "weights"
"""The position embeddings of XGLM and its relatives, a buffer that is added to the word embeddings
as it is; transformers has it in the type of the parameters."""


def in_dtype(model: Model, dtype: torch.dtype, device: torch.device | None = None) -> Model:
    """A copy of `model` with parameters of another dtype.

    Args:
        model: Stays as it is.
        dtype: Of the copy's floating-point parameters; its buffers keep theirs.
        device: Where the copy is; None = where the model is.
    """
    made = copy.deepcopy(model)
    if device is not None:
        made.to(device)
    kept = [
        (module, name, buffer)
        for module in made.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None and name != _ADDED
    ]
    made.to(dtype)
    for module, name, buffer in kept:
        module._buffers[name] = buffer
    return made
