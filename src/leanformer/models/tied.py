"""The tensors of a module by name, tied ones once.

    cls.predictions.decoder.weight  →  bert.embeddings.word_embeddings.weight

Tied weights are one object under two names. They are found by that object and never by the address
of its memory: tensors on some devices, and the shards of a distributed model, have no address that
says anything.
"""

from collections.abc import Container, Mapping
from pathlib import Path

from torch import Tensor, nn


def tied_names(module: nn.Module, without: Container[str] = ()) -> dict[str, str]:
    """The other names of parameters and buffers that have several, each with the first name.

    Args:
        module: What has them.
        without: Names that do not count, so that another name of the same tensor may be its first.
    """
    first: dict[int, str] = {}
    state = module.state_dict(keep_vars=True)  # the parameters themselves, not detached copies
    counted = {name: tensor for name, tensor in state.items() if name not in without}
    names = {name: first.setdefault(id(tensor), name) for name, tensor in counted.items()}
    return {name: own for name, own in names.items() if name != own}


def weights(module: nn.Module, without: Container[str] = ()) -> dict[str, Tensor]:
    """Parameters and buffers by name, detached, tied ones once: as `tied_names` says."""
    others, state = tied_names(module, without), module.state_dict()
    return {n: tensor for n, tensor in state.items() if n not in others and n not in without}


def cpu_state(module: nn.Module) -> dict[str, Tensor]:
    """The `state_dict` of `module` in CPU memory; tied weights are one tensor there too."""
    own = {name: tensor.cpu() for name, tensor in weights(module).items()}
    return own | {name: own[first] for name, first in tied_names(module).items()}


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Copy `tensors` into `module`; tied ones may be given under any of their names.

    Args:
        module: What the tensors are copied into, on whatever device it is.
        tensors: As `weights` or `state_dict` gave them.
        source: Where they come from, for the message of an error.

    Raises:
        ValueError: A tensor is missing, has no place in the module, or is of another shape or type;
            or tied weights are given twice and differ. Nothing is copied then.
    """
    state, tied = module.state_dict(), tied_names(module)
    given = {tied.get(name, name): tensor for name, tensor in tensors.items()}
    _refuse(source, "is missing", [n for n in state if n not in tied and n not in given])
    _refuse(source, "has no place in the model", [n for n in tensors if n not in state])
    for name, tensor in given.items():
        asked = state[name]
        if tensor.shape != asked.shape or tensor.dtype != asked.dtype:
            ours, theirs = (f"{t.dtype} {list(t.shape)}" for t in (asked, tensor))
            _refuse(source, f"is {theirs} and has to be {ours}", [name])
    doubled = {name: (tensor, given[tied.get(name, name)]) for name, tensor in tensors.items()}
    differ = [n for n, (one, other) in doubled.items() if one is not other and not one.equal(other)]
    _refuse(source, "differs from the one that it is tied to", differ)
    module.load_state_dict({**given, **{name: given[own] for name, own in tied.items()}})


def _refuse(source: Path | str, what: str, names: list[str]) -> None:
    """Refuse what is wrong with the tensors `names`, if there are any."""
    if names:
        more = f" (and so with {len(names) - 1} more)" if len(names) > 1 else ""
        raise ValueError(
            f"{source}: tensor {names[0]!r} {what}{more}; these are the weights of another model: "
            "remove them to begin anew"
        )
