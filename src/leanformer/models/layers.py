"""The layers of any model, found by their classes: what is checkpointed, swapped or shared out."""

from torch import nn

_LAYER = "GradientCheckpointingLayer"  # transformers' base class of layers


def repeated_layers(model: nn.Module) -> list[nn.Module]:
    """The layers in the order of the model: transformers' own, or the longest list of modules of
    one class; [] where it has none.
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
    return max(alike, key=len, default=[])
