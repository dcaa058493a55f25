"""Random outputs of a student and a teacher for the tests of objectives."""

import torch
from torch import Tensor

from leanformer.distill.objective import Dims, Outputs

STUDENT, TEACHER = Dims(layers=2, hidden=3), Dims(layers=4, hidden=5)
KEEP = torch.tensor([[True] * 7, [True, True, True, False, False, False, False]])


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def outputs(logits: Tensor, dims: Dims = STUDENT, keep: Tensor = KEEP, seed: int = 0) -> Outputs:
    """`logits` with hidden states of a model of these sizes."""
    hidden = tuple(random(*keep.shape, dims.hidden, seed=seed + n) for n in range(dims.layers + 1))
    return Outputs(logits, hidden, keep)


def padded(given: Outputs, noise: float, extra: int = 2) -> Outputs:
    """The same with more padding, and `noise` at all of it."""
    keep = torch.nn.functional.pad(given.keep, (0, extra), value=False)

    def wider(values: Tensor) -> Tensor:
        if values.dim() < 3:
            return values
        more = torch.nn.functional.pad(values, (0, 0, 0, extra))
        return torch.where(keep.unsqueeze(-1), more, noise)

    return Outputs(wider(given.logits), tuple(wider(level) for level in given.hidden), keep)
