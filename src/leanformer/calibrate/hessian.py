"""How sharply the loss bends where a block of weights is moved: the blocks that need more bits.

    power iteration    v ← H v / ‖H v‖,   λ = vᵀ H v         H = ∂²L/∂w², w the block's parameters
    H v                ∂/∂w ( ∂L/∂w · v )                    two backward passes, H is never built
    sensitivity        |mean_S λ| + std_S λ                  over slices of the data (Q-BERT)

λ is the eigenvalue of largest size, with its sign: a model that training left on a saddle has
negative ones. One slice misleads: in BERT λ differs from slice to slice by as much as from layer to
layer, so the spread counts too. An eigenvector is good when ‖H v - λ v‖ is small beside |λ|; what
remains of it is returned, for two eigenvalues of like size and unlike sign are told apart slowly.

∂L/∂w is computed once a slice, for all blocks, and its graph is kept: each product then costs one
backward pass through it, blocks · slices · iterations of them. So a slice must fit into memory, as
a batch of a training does. A tenth of a small training set a slice is much; some dozens of texts
are enough.

Legend: S slice of the data.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, pstdev

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from leanformer.data import Batch

Loss = Callable[[nn.Module, Batch], Tensor]
Vector = list[Tensor]


@dataclass(frozen=True)
class Curvature:
    """The top eigenvalue of one block, a slice each.

    Attributes:
        eigenvalues: λ, the one of largest size, with its sign, [S].
        residuals: ‖H v - λ v‖ / |λ| when the iteration ended, [S]; some eigenvalue lies within
            this share of λ.
    """

    eigenvalues: tuple[float, ...]
    residuals: tuple[float, ...]

    @property
    def sensitivity(self) -> float:
        """|mean| + standard deviation (of the slices themselves, so 0 for one slice)."""
        return abs(fmean(self.eigenvalues)) + pstdev(self.eigenvalues)


def curvatures(
    model: nn.Module,
    blocks: Mapping[str, Sequence[str]],
    slices: Iterable[Sequence[Batch]],
    loss: Loss,
    *,
    iterations: int = 50,
    tolerance: float = 1e-2,
    seed: int = 0,
) -> dict[str, Curvature]:
    """The curvature of the loss in each block, by the block's name.

    Args:
        model: Run in evaluation mode; its parameters and gradients are left as they are.
        blocks: Names of the parameters of each block.
        slices: Parts of the data, each in batches.
        loss: A scalar, the mean over the examples of a batch.
        iterations: Products with H at most.
        tolerance: The iteration ends when the residual is below.
        seed: Of the vector that it begins with.

    Raises:
        ValueError: There are no blocks or no data, a parameter is unknown or frozen, or the loss
            is not finite.
    """
    slices = [list(batches) for batches in slices]
    if not blocks or not slices or not all(slices):
        raise ValueError(
            f"curvatures: {len(blocks)} blocks and slices of {[len(s) for s in slices]} batches; "
            "name a block, and give each slice a batch"
        )
    groups = {name: _parameters(model, name, members) for name, members in blocks.items()}
    mode = model.training
    model.eval()
    try:
        found = [
            _slice(model, groups, batches, loss, iterations, tolerance, seed) for batches in slices
        ]
    finally:
        model.train(mode)
    return {
        name: Curvature(*map(tuple, zip(*(one[name] for one in found), strict=True)))
        for name in groups
    }


def _slice(
    model: nn.Module,
    groups: Mapping[str, Vector],
    batches: Sequence[Batch],
    loss: Loss,
    iterations: int,
    tolerance: float,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """The top eigenvalue and its residual of each block, on one slice."""
    every = [parameter for group in groups.values() for parameter in group]
    examples = sum(len(batch.index) for batch in batches)
    parts = [(len(batch.index) / examples, _slope(model, every, batch, loss)) for batch in batches]
    found = {}
    for name, group in groups.items():
        mine = [(share, [slope[id(parameter)] for parameter in group]) for share, slope in parts]
        product = partial(_product, group, mine)
        found[name] = top_eigenvalue(product, _random(group, seed), iterations, tolerance)
    return found


def top_eigenvalue(
    product: Callable[[Vector], Vector], start: Vector, iterations: int, tolerance: float
) -> tuple[float, float]:
    """The eigenvalue of largest size of a symmetric matrix, and its relative residual.

    Args:
        product: The matrix times a vector, which may lie in several tensors.
        start: Where the iteration begins; not 0.
        iterations: Products at most.
        tolerance: The iteration ends when the residual is below.
    """
    assert iterations >= 1
    v = start
    for _ in range(iterations):
        length = math.sqrt(_dot(v, v))
        v = [part / length for part in v]
        image = product(v)
        value = _dot(v, image)
        rest = [a - value * b for a, b in zip(image, v, strict=True)]
        if not any(part.any() for part in image):  # v is flat, as in a block without any curvature
            return 0.0, 0.0
        residual = math.sqrt(_dot(rest, rest)) / max(abs(value), 1e-30)
        if residual <= tolerance:
            break
        v = image
    return value, residual


def _slope(model: nn.Module, parameters: Vector, batch: Batch, loss: Loss) -> dict[int, Tensor]:
    """∂L/∂w with its graph, by the parameter's id."""
    with sdpa_kernel(SDPBackend.MATH):  # only the plain kernel has a second derivative
        value = loss(model, batch.to(parameters[0].device))
        if not torch.isfinite(value):
            raise ValueError(
                f"curvatures: the loss is {value.item()}; look for NaN in the model's weights"
            )
        slopes = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
    return {id(one): slope for one, slope in zip(parameters, slopes, strict=True)}


def _product(group: Vector, parts: Sequence[tuple[float, Sequence[Tensor]]], v: Vector) -> Vector:
    """H v of the mean loss over the examples, from the slopes of parts of them and their shares."""
    total = [torch.zeros_like(one) for one in v]
    for share, slopes in parts:
        along = torch.stack([(g * one).sum() for g, one in zip(slopes, v, strict=True)]).sum()
        if not along.requires_grad:  # the loss is linear in this block
            continue
        bent = torch.autograd.grad(along, group, retain_graph=True, materialize_grads=True)
        for one, b in zip(total, bent, strict=True):
            one.add_(b, alpha=share)
    return total


def _parameters(model: nn.Module, block: str, members: Sequence[str]) -> Vector:
    known = dict(model.named_parameters(remove_duplicate=False))
    if unknown := [name for name in members if name not in known]:
        raise ValueError(f"{block}: the model has no parameter {', '.join(unknown)}")
    if frozen := [name for name in members if not known[name].requires_grad]:
        raise ValueError(
            f"{block}: {', '.join(frozen)} is frozen and has no gradient; call requires_grad_"
        )
    if not members:
        raise ValueError(f"{block}: it names no parameters")
    return [known[name] for name in members]


def _random(group: Vector, seed: int) -> Vector:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(part.shape, generator=generator, dtype=part.dtype).to(part.device)
        for part in group
    ]


def _dot(a: Vector, b: Vector) -> float:
    return sum(float((x.double() * y.double()).sum()) for x, y in zip(a, b, strict=True))
