"""A few rows of a batch at a time pass a layer, and its outputs are joined: those of all rows.

    split    tensors whose first dimension is the batch; what has a first dimension of 1, a single
             number, and what is not a tensor goes to every group whole
    joined   all outputs, along their first dimension

The batch is the first dimension of the first tensor that the layer is given, its hidden states. The
layer is tried first, on two rows: one whose rows look at one another would give other results.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_unflatten

from leanformer.train.memory.checkpoint_activations import without_caches

_Compute = Callable[..., Any]


class Rows:
    """A layer that a few rows pass at a time.

    Args:
        rows: Rows of a group; the last group has what is left.
        layer: Its modules.
        name: Its name, for messages.
    """

    def __init__(self, rows: int, layer: nn.Module, name: str) -> None:
        self._rows, self._layer = rows, layer
        self._name = f"{name} ({type(layer).__name__})"
        self._tried = False

    def run(self, plain: _Compute, kept: _Compute, arguments: Any, named: dict[str, Any]) -> Any:
        """The outputs of all rows.

        Args:
            plain: Computes the layer.
            kept: The same, checkpointed; called once per group.
            arguments: What the layer is given.
            named: And by name.

        Raises:
            ValueError: The rows of an argument or an output are unknown, rows look at one another,
                or the layer changes its buffers from group to group.
        """
        leaves, shape = tree_flatten((arguments, without_caches(named)))
        rows = next((len(leaf) for leaf in leaves if _is_split(leaf)), 1)
        if rows <= self._rows:
            return kept(*arguments, **named)
        self._check_arguments(leaves, rows)
        if not self._tried:
            self._try(plain, next(_groups(leaves, shape, rows, 2)))
            self._tried = True
        found: list[Any] = []
        versions: list[Any] = []
        for some, by_name in _groups(leaves, shape, rows, self._rows):
            size = min(self._rows, rows - len(found) * self._rows)
            found.append(self._checked(kept(*some, **by_name), size))
            versions.append([(id(b), b._version) for b in self._layer.buffers()])
            if versions[-1] != versions[0]:
                self._refuse(
                    "changes its buffers from group to group, as running averages do, and would "
                    "compute otherwise in the backward pass"
                )
        return _joined(found)

    def _check_arguments(self, leaves: list[Any], rows: int) -> None:
        for leaf in leaves:
            shape = tuple(getattr(leaf, "shape", ()))
            is_tensor = isinstance(leaf, Tensor)  # a BlockMask of flex attention is not
            if shape and shape[0] != 1 and not (is_tensor and shape[0] == rows):
                self._refuse(
                    f"is given a {type(leaf).__name__} of shape {list(shape)} beside {rows} rows "
                    f"of hidden states; its first dimension would have to be {rows} or 1"
                )

    def _checked(self, outputs: Any, rows: int) -> Any:
        """The outputs of a group, all of which have its rows."""
        for leaf in tree_leaves(outputs):
            if isinstance(leaf, Tensor) and (leaf.dim() == 0 or len(leaf) != rows):
                self._refuse(
                    f"gives a tensor of shape {list(leaf.shape)} for {rows} rows; only outputs "
                    "whose first dimension is the batch can be joined"
                )
        return outputs

    def _try(self, plain: _Compute, two: tuple[Any, dict[str, Any]]) -> None:
        """Refuse a layer in which the output of one row has a gradient for another row."""
        leaves, shape = tree_flatten(two)
        place = next(place for place, leaf in enumerate(leaves) if _is_split(leaf))
        if not leaves[place].is_floating_point():
            return
        hidden = leaves[place] = leaves[place].detach().clone().requires_grad_()
        with _evaluating(self._layer):  # nothing is drawn, and nothing is noted
            some, by_name = tree_unflatten(leaves, shape)
            outputs = tree_leaves(self._checked(plain(*some, **by_name), 2))
        first = next(
            (one for one in outputs if isinstance(one, Tensor) and one.requires_grad), None
        )
        if first is None:
            return
        # weights of its elements that no normalization cancels
        weights = torch.linspace(1, 2, first[0].numel(), dtype=first.dtype, device=first.device)
        (slope,) = torch.autograd.grad(
            first[0], hidden, weights.view_as(first[0]), allow_unused=True
        )
        if slope is not None and bool((slope[1].abs() > 0).any()):
            self._refuse(
                "mixes the rows of its hidden states: is their first dimension the length? Only "
                "layers whose first dimension is the batch can be split"
            )

    def _refuse(self, why: str) -> NoReturn:
        raise ValueError(
            f"swap-layers: rows = {self._rows}, but {self._name} {why}; leave rows out, so that "
            "all rows pass a layer at once, and set max_tokens_per_microbatch instead"
        )


def _is_split(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.dim() > 0


def _groups(
    leaves: list[Any], shape: TreeSpec, rows: int, size: int
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The arguments of each group, which are views of those of all rows."""
    split = [leaf.split(size) if _is_split(leaf) and len(leaf) == rows else None for leaf in leaves]
    for group in range(-(-rows // size)):
        some = [
            leaf if parts is None else parts[group]
            for leaf, parts in zip(leaves, split, strict=True)
        ]
        arguments: tuple[Any, dict[str, Any]] = tree_unflatten(some, shape)
        yield arguments


def _joined(found: list[Any]) -> Any:
    """The outputs of all groups, in the form of one's; what is not a tensor is the first one's."""
    parts = [tree_flatten(outputs)[0] for outputs in found]
    joined = [
        torch.cat(column) if isinstance(column[0], Tensor) else column[0]
        for column in zip(*parts, strict=True)
    ]
    return tree_unflatten(joined, tree_flatten(found[0])[1])


@contextmanager
def _evaluating(layer: nn.Module) -> Iterator[None]:
    """Within it the layer is in evaluation mode; afterwards each module is in the mode it had."""
    modes = [(module, module.training) for module in layer.modules()]
    layer.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
