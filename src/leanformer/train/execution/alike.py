"""What must be the same on all ranks of a training, and what is said where it is not."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from leanformer.core.identity.differences import listed
from leanformer.models.digest import weights_digest
from leanformer.train.ranks import Ranks


def require_alike(ranks: Ranks, what: dict[str, Any]) -> None:
    """Refuse a training of which ranks know different things.

    Args:
        ranks: The ranks; all of them call it.
        what: What must be the same, by what it is called.

    Raises:
        ValueError: A rank differs from rank 0; all ranks raise it, and it names in what.
    """
    first, *others = ranks.gather(what)
    for rank, theirs in enumerate(others, start=1):
        if theirs != first:
            names = listed([name for name in first if theirs.get(name) != first[name]])
            raise ValueError(
                f"parallel: rank {rank} trains on something else than rank 0, which differs in "
                f"{names}; every rank is given the same data, settings and seed"
            )


def require_alike_buffers(ranks: Ranks, model: nn.Module) -> None:
    """Refuse a model whose buffers became different on each rank.

    Raises:
        ValueError: They did; all ranks raise it, and it names the modules.
    """
    first, *others = ranks.gather({name: weights_digest(one) for name, one in _buffers(model)})
    for rank, theirs in enumerate(others, start=1):
        if differ := [name for name in first if first[name] != theirs[name]]:
            raise ValueError(
                f"parallel: buffers of {listed(differ)} became others on rank {rank}, since each "
                "rank sees its own rows; let the module join what ranks see "
                "(`leanformer.numerics.over_ranks`), or train it with one process"
            )


def _buffers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The buffers of each module that has some, as a module, by its name."""
    for name, module in model.named_modules():
        buffers = {key: one for key, one in module._buffers.items() if one is not None}
        if buffers:
            alone = nn.Module()
            for key, buffer in buffers.items():
                alone.register_buffer(key, buffer)
            yield name, alone
