"""How a model reads packed rows: several texts in one row, of which none sees another.

    causal    positions begin anew at 0 with each text; transformers makes the mask of that
    masked    positions likewise, and a block-diagonal mask [B, 1, T, T] of `segment_ids`

A causal model of transformers tells where a text begins by its positions, unless it is given a mask
or a cache. One that sees both sides does not, so it is given the mask. Not every architecture takes
either, so a model is tried before anything is trained.

Legend: B batch, T token.
"""

from typing import Any

import torch
from torch import Tensor

from leanformer.models.io.tokenizer_files import skipped_positions

_POSITIONS, _SEGMENTS = "position_ids", "segment_ids"
_CLOSE = 1e-3  # of the largest logit: rounding in any precision that models are trained in
_TRIED = (5, 3)  # tokens of the two texts that a model is tried with
_REFUSALS = (TypeError, ValueError, RuntimeError, IndexError)  # of a mask that is not taken


def model_inputs(inputs: dict[str, Tensor], model: Any) -> dict[str, Any]:
    """What a model is given of a batch's inputs.

    Args:
        inputs: Of a batch. Packed rows have `position_ids` [B, T] that begin at 0 with each text,
            and for models that see both sides also `segment_ids` [B, T]: the number of the text in
            its row from 1 on, 0 at padding, which sees other padding alone.
        model: What will read them; how it attends decides the form of the mask.
    """
    if _POSITIONS not in inputs:
        return inputs
    kept = {name: one for name, one in inputs.items() if name not in ("attention_mask", _SEGMENTS)}
    if _SEGMENTS not in inputs:
        return {**kept, "use_cache": False}
    positions_BT = inputs[_POSITIONS] + skipped_positions(model)
    return {**kept, _POSITIONS: positions_BT, "attention_mask": _mask(inputs[_SEGMENTS], model)}


def _mask(segments_BT: Tensor, model: Any) -> Any:
    """The block-diagonal mask [B, 1, T, T]; one per kind of layer where some see a window only."""
    block_B1TT = segments_BT[:, None, :, None] == segments_BT[:, None, None, :]
    config = model.config
    if "sliding_attention" not in (getattr(config, "layer_types", None) or ()):
        return _formed(block_B1TT, model)
    place_T = torch.arange(segments_BT.shape[1], device=segments_BT.device)
    near_TT = (place_T[:, None] - place_T).abs() <= config.sliding_window
    masks = {"full_attention": block_B1TT, "sliding_attention": block_B1TT & near_TT}
    return {name: _formed(mask, model) for name, mask in masks.items()}


def _formed(keep: Tensor, model: Any) -> Tensor:
    """A mask in the form that the model's attention takes: added to scores, or True = seen."""
    if model.config._attn_implementation != "eager":
        return keep
    dtype = next(model.parameters()).dtype
    return torch.zeros_like(keep, dtype=dtype).masked_fill(~keep, torch.finfo(dtype).min)


def check_packs(model: Any) -> None:
    """Refuse a causal language model in which packed texts see each other, by trying it.

    Raises:
        ValueError: The second of two texts in a row is answered otherwise than alone.
    """
    if not packs(model):
        raise ValueError(
            f"packing: in {type(model).__name__} the texts of a row see each other; set "
            "packing = false, which gives each text a row of its own"
        )


@torch.no_grad()
def packs(model: Any, *, causal: bool = True) -> bool:
    """Whether a model answers the second of two packed texts as if it stood alone: it is tried.

    Args:
        model: A language model.
        causal: Whether it predicts the next token; else it sees both sides.
    """
    training = model.training
    device = next(model.parameters()).device
    first, second = _TRIED
    ids = torch.arange(1, first + second + 1, device=device)[None] % model.config.vocab_size
    positions = torch.cat([torch.arange(first), torch.arange(second)])[None].to(device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), _POSITIONS: positions}
    if not causal:
        inputs[_SEGMENTS] = 1 + (torch.arange(first + second, device=device) >= first).long()[None]
    alone = {"input_ids": ids[:, first:], "attention_mask": torch.ones_like(ids[:, first:])}
    model.eval()
    try:
        packed = model(**model_inputs(inputs, model)).logits[:, first:]
        error = (packed - model(**alone).logits).abs().max() / packed.abs().max()
    except _REFUSALS:  # no such argument, or no such mask
        error = torch.tensor(torch.inf)
    model.train(training)
    return bool(error <= _CLOSE)
