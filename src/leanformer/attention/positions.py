"""Keys and masks made ready for a mechanism.

Keys are repeated for the query heads that share them, hidden positions move behind the text, and a
mask that hides nothing is left out.

Legend: B batch, H head, J key head, S key token, D head width.
"""

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor


def unless_whole(keep: Tensor | None) -> Tensor | None:
    """The mask, or None where it hides no key, so that texts without padding need no mask.

    On a GPU the mask stays: reading it in every layer would make the CPU wait for the GPU, and
    `leanformer.models.attention.requests.MaskSpec` reads it once per forward pass. It also stays
    while a graph is traced, when its values are not known.
    """
    if keep is None or keep.device.type != "cpu":
        return keep
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    if traced or isinstance(keep, FakeTensor):
        return keep
    return None if bool(keep.all()) else keep


def each_head(x_BJSD: Tensor, groups: int) -> Tensor:
    """Keys or values repeated for the query heads that each serves, [B, J * groups, S, D]."""
    return x_BJSD if groups == 1 else x_BJSD.repeat_interleave(groups, dim=1)


def text_first(keep_BS: Tensor) -> Tensor:
    """The order that moves hidden places behind the text, both as they stood, [B, S]."""
    return (~keep_BS).to(torch.int8).argsort(dim=1, stable=True)


def at_places(x_BHSD: Tensor, order_BS: Tensor) -> Tensor:
    """Places of a text in another order."""
    return x_BHSD.gather(2, order_BS[:, None, :, None].expand_as(x_BHSD))
