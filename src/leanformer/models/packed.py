"""How a model reads packed rows: several texts in one row, of which none sees another.

transformers tells where a text begins by its positions, which begin anew at 0, and makes a
block-diagonal mask of them, unless it is given a mask or a cache. Not every architecture passes its
positions on, so a model is tried before anything is trained.
"""

from typing import Any

import torch
from torch import Tensor

_POSITIONS = "position_ids"
_CLOSE = 1e-3  # of the largest logit: rounding in any precision that models are trained in
_TRIED = (5, 3)  # tokens of the two texts that a model is tried with


def model_inputs(inputs: dict[str, Tensor]) -> dict[str, Any]:
    """What a model is given of a batch's inputs.

    Of packed rows it is given the positions and neither mask nor cache: only then does transformers
    see that each text begins at position 0. Padding is at position 0 too, each a text of its own.
    """
    if _POSITIONS not in inputs:
        return inputs
    kept = {name: tensor for name, tensor in inputs.items() if name != "attention_mask"}
    return {**kept, "use_cache": False}


@torch.no_grad()
def check_packs(model: Any) -> None:
    """Refuse a model in which packed texts see each other, by trying it.

    Raises:
        ValueError: The second of two texts in a row is answered otherwise than alone.
    """
    training = model.training
    device = next(model.parameters()).device
    first, second = _TRIED
    ids = torch.arange(1, first + second + 1, device=device)[None] % model.config.vocab_size
    positions = torch.cat([torch.arange(first), torch.arange(second)])[None].to(device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), _POSITIONS: positions}
    alone = {"input_ids": ids[:, first:], "attention_mask": torch.ones_like(ids[:, first:])}
    model.eval()
    try:
        packed = model(**model_inputs(inputs)).logits[:, first:]
        error = (packed - model(**alone).logits).abs().max() / packed.abs().max()
    except TypeError:  # no such argument
        error = torch.tensor(torch.inf)
    model.train(training)
    if not error <= _CLOSE:
        raise ValueError(
            f"packing: in {type(model).__name__} the texts of a row see each other; set "
            "packing = false, which gives each text a row of its own"
        )
