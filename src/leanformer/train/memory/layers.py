"""The layers of a model that is trained: what savers checkpoint, swap or reverse, one at a time."""

from torch import nn

from leanformer.models.layers import repeated_layers
from leanformer.models.reversible.decoder import refuse_reversible


def layers_of(model: nn.Module, saver: str) -> list[nn.Module]:
    """See `repeated_layers`.

    Args:
        model: Any model, before it is shared out among ranks.
        saver: Who asks, for the message.

    Raises:
        ValueError: No layers are found, or they are reversible.
    """
    refuse_reversible(model, saver)
    found = repeated_layers(model)
    if not found:
        raise ValueError(
            f"{saver}: no layers were found in {type(model).__name__}; they have to stand in one "
            "nn.ModuleList, or leave this saver out of memory"
        )
    return found
