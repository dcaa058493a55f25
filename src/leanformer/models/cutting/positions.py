"""More places for a model that was trained with few: its position embeddings, over and over.

A model with an embedding for each of 512 places cannot read the 513th. Copies of what it has learnt
(Longformer's way) know at once what is near what, everywhere but at the seams, and are trained on
from there; texts that fitted before are read exactly as before. Models that rotate positions in
have no such table, and only their configuration says how long texts may be.
"""

from typing import Any

import torch
from torch import Tensor, nn

from leanformer.models.anatomy import anatomy_of

_TABLES = ("position_embeddings", "wpe")
_BUFFERS = ("position_ids", "token_type_ids")


def extend_positions(model: Any, length: int) -> int:
    """Let a model read texts of `length` tokens, in place.

    Args:
        model: A transformers model of a known architecture.
        length: Tokens of the longest text, special ones included.

    Returns:
        Tokens of the longest text before.

    Raises:
        ValueError: The architecture is not known, or the model reads texts that long already.
    """
    shifted = model.config.pad_token_id + 1 if anatomy_of(model).pads_shift_positions else 0
    before: int = model.config.max_position_embeddings - shifted
    if length <= before:
        raise ValueError(
            f"length: the model reads texts of {before} tokens already; give more than that"
        )
    for name, module in model.base_model.named_modules():
        if name.split(".")[-1] in _TABLES and isinstance(module, nn.Embedding):
            module.weight = nn.Parameter(tiled(module.weight.detach(), shifted, length))
            module.num_embeddings = len(module.weight)
        for buffer in _BUFFERS:
            if buffer in getattr(module, "_buffers", {}):
                kept = module.get_buffer(buffer)
                module.register_buffer(buffer, _longer(kept, length + shifted), persistent=False)
    _pin_distances(model.config)
    model.config.max_position_embeddings = length + shifted
    return before


def tiled(table_PD: Tensor, shifted: int, length: int) -> Tensor:
    """Rows for `length` places after the first `shifted` ones, which stand apart; what there are,
    over and over.

    P place, D model width.
    """
    rows = table_PD[shifted:]
    times = -(-length // len(rows))
    return torch.cat([table_PD[:shifted], rows.repeat(times, 1)[:length]])


def _pin_distances(config: Any) -> None:
    """Keep the range of relative positions, which a DeBERTa takes from the length of its texts."""
    if getattr(config, "max_relative_positions", 1) < 1:
        config.max_relative_positions = config.max_position_embeddings


def _longer(buffer: Tensor, length: int) -> Tensor:
    """Numbers of places, or zeros, [1, length]."""
    if bool((buffer == 0).all()):
        return buffer.new_zeros(1, length)
    return torch.arange(length, device=buffer.device)[None]
