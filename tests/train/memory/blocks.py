"""A model of small layers that are none of transformers', for tests of memory savers."""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(4, 4)
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)
        self.rows: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        return x + self.map(x) * self.frozen


class Blocks(nn.Module):
    def __init__(self, count: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(Block() for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x


def slopes_of(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the gradients that are there, in CPU memory."""
    found = {n: p.grad for n, p in model.named_parameters()}
    return {name: slope.cpu().clone() for name, slope in found.items() if slope is not None}
