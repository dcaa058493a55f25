"""The layers of a model that is trained: what savers checkpoint, swap or reverse, one at a time."""

from typing import Any

from torch import nn

_LAYER = "GradientCheckpointingLayer"  # transformers' base class of layers


def layers_of(model: nn.Module, saver: str) -> list[nn.Module]:
    """The layers in the order of the model: transformers' own, or the longest list of modules of
    one class.

    Args:
        model: Any model, before it is shared out among ranks.
        saver: Who asks, for the message.

    Raises:
        ValueError: No layers are found.
    """
    found: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for module in model.modules():
        if module not in inside and any(base.__name__ == _LAYER for base in type(module).__mro__):
            found.append(module)
            inside.update(module.modules())
    if found:
        return found
    lists = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList)]
    alike = [one for one in lists if len({type(layer) for layer in one}) == 1]
    longest: list[Any] = max(alike, key=len, default=[])
    if not longest:
        raise ValueError(
            f"{saver}: no layers were found in {type(model).__name__}; they have to stand in one "
            "nn.ModuleList, or leave this saver out of memory"
        )
    return longest
