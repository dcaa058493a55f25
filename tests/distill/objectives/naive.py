"""Random outputs of a student and a teacher for the tests of objectives."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from leanformer.distill.objective import Dims, Outputs
from leanformer.models.attention.inputs import AttentionInputs

STUDENT, TEACHER = Dims(2, 3, heads=(2, 2)), Dims(4, 5, heads=(2, 2, 2, 2))
KEEP = torch.tensor([[True] * 7, [True, True, True, False, False, False, False]])


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def softmax(row: list[float], temperature: float) -> list[float]:
    """The definition, for one row."""
    powers = [math.exp(z / temperature) for z in row]
    return [power / sum(powers) for power in powers]


def attention(heads: int, width: int, tokens: int = 7, seed: int = 0) -> AttentionInputs:
    """What a layer of two texts is given; every head is `width` wide."""
    given = (random(2, heads, tokens, width, seed=seed + 1000 * n) for n in range(3))
    return AttentionInputs(*given, scaling=width**-0.5)


def causal(given: Outputs) -> Outputs:
    """The same, where no query sees a later key."""
    tokens = given.keep.shape[1]
    allowed = torch.ones(1, 1, tokens, tokens).tril().bool()
    layers = tuple(replace(layer, allowed=allowed) for layer in given.attention)
    return replace(given, attention=layers)


def outputs(logits: Tensor, dims: Dims = STUDENT, keep: Tensor = KEEP, seed: int = 0) -> Outputs:
    """`logits` with hidden states and attention of a model of these sizes."""
    hidden = tuple(random(*keep.shape, dims.hidden, seed=seed + n) for n in range(dims.layers + 1))
    layers = tuple(
        attention(heads, dims.hidden, keep.shape[1], seed + 10 + n)
        for n, heads in enumerate(dims.heads)
    )
    return Outputs(logits, hidden, keep, layers)


def padded(given: Outputs, noise: float, extra: int = 2) -> Outputs:
    """The same with more padding, and `noise` at all of it."""
    keep = torch.nn.functional.pad(given.keep, (0, extra), value=False)

    def wider(values: Tensor) -> Tensor:
        if values.dim() < 3:
            return values
        more = torch.nn.functional.pad(values, (0, 0, 0, extra))
        real = keep.unsqueeze(-1) if values.dim() == 3 else keep[:, None, :, None]
        return torch.where(real, more, noise)

    def longer(layer: AttentionInputs) -> AttentionInputs:
        query, key, value = (wider(part) for part in (layer.query, layer.key, layer.value))
        allowed = layer.allowed
        if allowed is not None:
            allowed = torch.nn.functional.pad(allowed, (0, extra, 0, extra), value=True)
        return AttentionInputs(query, key, value, layer.scaling, allowed)

    hidden = tuple(wider(level) for level in given.hidden)
    layers = tuple(longer(layer) for layer in given.attention)
    return Outputs(wider(given.logits), hidden, keep, layers)
