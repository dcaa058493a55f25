"""Models that keep their own attention: the same weights and outputs, computed by our kernels.

    model = AutoModel.from_pretrained("allenai/longformer-base-4096")
    convert(model)

Longformer, LED, BigBird, BigBird-Pegasus, Nyströmformer, Reformer and XLNet do not go through
transformers' `AttentionInterface`, so `attach` cannot reach them. `convert` puts a module of ours
in the place of each self-attention. It takes the parameters over under their names: the state dict
keeps its keys, optimizers and sharing their tensors, and what `save_pretrained` writes is the
checkpoint that it was, which plain transformers loads. Convert again after loading.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from leanformer.attention.convert import (
    big_bird,
    longformer,
    nystromformer,
    reformer,
    reformer_local,
    xlnet,
)
from leanformer.attention.convert.big_bird import ConvertedBigBird
from leanformer.attention.convert.longformer import ConvertedLongformer
from leanformer.attention.convert.nystromformer import ConvertedNystromformer
from leanformer.attention.convert.reformer import ConvertedLSH
from leanformer.attention.convert.reformer_local import ConvertedLocal
from leanformer.attention.convert.xlnet import ConvertedXLNet

OURS: dict[str, Callable[[Any], nn.Module]] = {
    **dict.fromkeys(longformer.NAMES, ConvertedLongformer),
    **dict.fromkeys(big_bird.NAMES, ConvertedBigBird),
    **dict.fromkeys(nystromformer.NAMES, ConvertedNystromformer),
    **dict.fromkeys(reformer_local.NAMES, ConvertedLocal),
    **dict.fromkeys(reformer.NAMES, ConvertedLSH),
    **dict.fromkeys(xlnet.NAMES, ConvertedXLNet),
}
"""What takes the place of transformers' module of that name."""


@dataclass(frozen=True)
class Converted:
    """What `convert` did.

    Attributes:
        layers: Names of the modules that are ours now, in the order of the model.
    """

    layers: tuple[str, ...]


def convert(model: nn.Module) -> Converted:
    """Let a transformers model that keeps its own attention compute it by our kernels, in place.

    Args:
        model: A model with one of the attentions in `OURS`, anywhere in it.

    Raises:
        ValueError: There is none, weights of attention are asked for in its configuration, or its
            settings are none that we compute; nothing is changed.
    """
    if getattr(getattr(model, "config", None), "output_attentions", False):
        raise ValueError(
            "config.output_attentions: the converted attention writes no weights down; set it to "
            "False. Nothing was changed"
        )
    found = [(name, module) for name, module in model.named_modules() if _name(module) in OURS]
    if not found:
        raise ValueError(_refusal(model))
    ours = [(name, OURS[_name(theirs)](theirs)) for name, theirs in found]  # may refuse
    for name, module in ours:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, module)
    return Converted(layers=tuple(name for name, _ in found))


def _name(module: nn.Module) -> str:
    return type(module).__name__


def _refusal(model: nn.Module) -> str:
    """Why a model without such an attention is refused, and what helps."""
    return (
        f"{_name(model)}: none of its layers is one of {', '.join(OURS)}, and nothing was changed; "
        "where a model honours transformers' AttentionInterface, use "
        "leanformer.attention.hf.attach.attach"
    )
