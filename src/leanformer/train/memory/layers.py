"""The layers of a model that is trained: what savers checkpoint, swap or reverse, one at a time."""

from torch import nn

from leanformer.models.layers import repeated_layers


def layers_of(model: nn.Module, saver: str) -> list[nn.Module]:
    """See `repeated_layers`.

    Args:
        model: Any model, before it is shared out among ranks.
        saver: Who asks, for the message.

    Raises:
        ValueError: No layers are found.
    """
    found = repeated_layers(model)
    if not found:
        raise ValueError(
            f"{saver}: no layers were found in {type(model).__name__}; they have to stand in one "
            "nn.ModuleList, or leave this saver out of memory"
        )
    return found
