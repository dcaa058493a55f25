"""Centroids that follow the tokens nearest to them while a model trains, once per forward pass.

    mean_c = unit(sum over the tokens x nearest to mu_c of unit(x - mean of x))
    mu_c  <- unit(decay mu_c + (1 - decay) mean_c)           where there is a token; unit: length 1

One forward pass may call a layer several times: some models share one layer, and gradient
checkpointing calls it again during the backward pass. All these calls must see the same centroids,
or the gradients are those of another model. So a call only takes note of its tokens (not at all
during a backward pass, where they come a second time), and the centroids move at the beginning of
the first call after a backward pass has come through the layer. The layer sees that itself; a move
by the optimizer or by `train.scheduled_module` would be left out by every loop that does not
know of it, transformers' Trainer among them. With gradient accumulation every part of a batch is a
forward pass of its own.

Centroids stay in float32 in a model of half precision: a move is smaller than it can tell.

Legend: B batch, H head, C centroid, T token, D head width.
"""

from abc import ABC
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.heads import Capabilities, Heads
from leanformer.attention.mechanism import Attention
from leanformer.numerics import over_ranks
from leanformer.numerics.backward import runs_again


@torch.no_grad()
def likeness(x_BHTD: Tensor, centroids_HCD: Tensor) -> Tensor:
    """How near each token is to each centroid, [B, H, T, C]; no gradient goes through it."""
    return _normed(x_BHTD) @ centroids_HCD.float().transpose(1, 2)


@torch.no_grad()
def nearest(x_BHTD: Tensor, centroids_HCD: Tensor) -> Tensor:
    """The centroid nearest to each token, [B, H, T], without a pass over the tokens to norm them.

    A token's length changes no ranking, and its mean is as well taken from the centroids.
    """
    centred_HCD = centroids_HCD.float() - centroids_HCD.float().mean(-1, keepdim=True)
    return (x_BHTD.float() @ centred_HCD.transpose(1, 2)).argmax(-1)


def _normed(x_BHTD: Tensor) -> Tensor:
    x = x_BHTD.float()
    return F.normalize(x - x.mean(-1, keepdim=True), dim=-1)


class MovingCentroids(Attention, ABC):
    """Attention with centroids that move while it trains.

    Args:
        heads: The layer's heads.
        capabilities: Of the mechanism.
        clusters: Centroids of each head.
        decay: How much of a centroid stays in a move.
        seed: Of the first centroids.

    Attributes:
        centroids: [H, C, D] of length 1. Call `settle` before they are read.
    """

    centroids: Tensor

    def __init__(
        self, heads: Heads, capabilities: Capabilities, *, clusters: int, decay: float, seed: int
    ) -> None:
        super().__init__(heads, capabilities)
        self.decay = decay
        generator = torch.Generator().manual_seed(seed)
        shape = (heads.num_heads, clusters, heads.head_dim)
        drawn = torch.randn(shape, generator=generator, dtype=torch.float32)
        self.register_buffer("centroids", F.normalize(drawn, dim=-1))
        self._sums_HCD: Tensor | None = None
        self._counts_HC1: Tensor | None = None
        self._due = False
        self.register_state_dict_pre_hook(_settle_first)
        self.register_load_state_dict_pre_hook(_forget)

    def settle(self) -> None:
        """Make the move that is due, if any, unless a backward pass is running."""
        if self._due:
            self._move()

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    @torch.no_grad()
    def _move(self) -> None:
        if runs_again():
            return
        if self._sums_HCD is not None and self._counts_HC1 is not None:
            sums, counts = (x.to(self.centroids.device) for x in (self._sums_HCD, self._counts_HC1))
            decay = torch.where(counts > 0, self.decay, 1.0)
            moved = decay * self.centroids + (1 - decay) * F.normalize(sums, dim=-1)
            self.centroids.copy_(F.normalize(moved, dim=-1))
        self.forget()

    def forget(self) -> None:
        """Take back the notes of forward passes so far."""
        self._sums_HCD = self._counts_HC1 = None
        self._due = False

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def note(
        self, mixed_BHTD: Tensor, query_BHTD: Tensor, key_BHTD: Tensor, keep_BT: Tensor | None
    ) -> None:
        """Take note of the tokens of a call in training, and of the backward pass through it.

        Args:
            mixed_BHTD: What the call gives.
            query_BHTD: Its queries.
            key_BHTD: Its keys.
            keep_BT: True at tokens of the text; None = all.
        """
        if runs_again():  # gradient checkpointing: these tokens have been noted
            self._due = True
            return
        for x_BHTD in (query_BHTD, key_BHTD):
            self._add(x_BHTD, keep_BT)
        if mixed_BHTD.requires_grad:
            mixed_BHTD.register_hook(self._backward_came)
        elif torch.is_grad_enabled():  # a frozen layer: no backward pass will come
            self._due = True

    @torch.no_grad()
    def _add(self, x_BHTD: Tensor, keep_BT: Tensor | None) -> None:
        taken = F.one_hot(nearest(x_BHTD, self.centroids), self.centroids.shape[1])
        weight_BHTC = (taken if keep_BT is None else taken * keep_BT[:, None, :, None]).float()
        sums = over_ranks.added(torch.einsum("bhtc,bhtd->hcd", weight_BHTC, _normed(x_BHTD)))
        counts = over_ranks.added(weight_BHTC.sum((0, 2))[..., None])
        self._sums_HCD = sums if self._sums_HCD is None else self._sums_HCD + sums
        self._counts_HC1 = counts if self._counts_HC1 is None else self._counts_HC1 + counts

    def _backward_came(self, _: Tensor) -> None:
        self._due = True

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move or cast the module; the centroids stay at least as wide as float32."""
        before = self.centroids
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        wide = torch.promote_types(self.centroids.dtype, torch.float32)
        if self.centroids.dtype != wide:
            source = self.centroids if before.is_meta else before
            self.centroids = source.to(self.centroids.device, wide)
        return self


def _settle_first(module: MovingCentroids, *_: Any) -> None:
    """What is saved has made its last move."""
    module.settle()


def _forget(module: MovingCentroids, *_: Any) -> None:
    """Notes of other centroids do not move those that are loaded."""
    module.forget()
