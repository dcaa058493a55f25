"""Keys and values in blocks of neighbours: how a block of queries gets the ones that it reads.

Legend: B batch, H head, T token, D head width, C selected block, G global key.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


class InBlocks:
    """Keys or values in blocks of neighbours.

    A stretch of blocks is a view where no gradient is asked for. Where one is, its blocks are
    copied beside each other: the gradient of each view would be as large as the whole text.
    """

    def __init__(self, x_BHTD: Tensor, size: int) -> None:
        self.x_BHTD, self.size = x_BHTD, size
        graded = torch.is_grad_enabled() and x_BHTD.requires_grad
        self.blocks = x_BHTD.split(size, 2) if graded else None

    def gather_blocks(self, numbers: Sequence[int]) -> list[Tensor]:
        """The tokens of some blocks, in order, in as few parts as they come in."""
        if self.blocks is not None:
            return [self.blocks[number] for number in numbers]
        found: list[list[int]] = []
        for number in numbers:
            if found and found[-1][1] == number:
                found[-1][1] += 1
            else:
                found.append([number, number + 1])
        return [self.x_BHTD[:, :, low * self.size : high * self.size] for low, high in found]


class GlobalKeys:
    """Keys or values that every block of queries reads, taken once.

    The gradient of what a block takes of them is as large as they are, and not as the text.
    """

    def __init__(self, x_BHTD: Tensor, positions_G: Tensor) -> None:
        self.positions_G = positions_G
        self.x_BHGD = x_BHTD[:, :, positions_G]

    def gather(self, some_G: Tensor) -> Tensor:
        """The tokens at some of the positions, in their order."""
        if len(some_G) == len(self.positions_G):
            return self.x_BHGD
        return self.x_BHGD[:, :, torch.searchsorted(self.positions_G, some_G)]


def joined(parts: list[Tensor]) -> Tensor:
    """Tokens beside each other, [B, H, T, D]; of one part no copy is made."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


class SelectedBlocks:
    """Keys or values by blocks, text by text and head by head.

    Each block of queries copies its few: one large gather for all would take three times the memory
    of the keys, and on a CPU most of its time goes into getting that.
    """

    def __init__(self, x_BHTD: Tensor, size: int) -> None:
        self.x_BHTD = x_BHTD
        self.size = size
        self.blocks: tuple[Tensor, ...] = ()

    def __call__(self, indices_BHC: Tensor) -> Tensor:
        """The tokens of selected blocks, [B, H, C * size, D]; of no block any."""
        batch, heads, length, width = self.x_BHTD.shape
        count = -(-length // self.size)
        if not self.blocks:
            whole = F.pad(self.x_BHTD, (0, 0, 0, count * self.size - length))
            self.blocks = whole.reshape(-1, self.size, width).unbind()
        texts = torch.arange(batch * heads, device=indices_BHC.device).view(batch, heads, 1)
        # of a block that was cut finer some may lie beyond the text
        numbers = texts * count + indices_BHC.clamp(min=0, max=count - 1)
        taken = torch.stack([self.blocks[number] for number in numbers.flatten().tolist()])
        return taken.view(batch, heads, -1, width)
