"""The optimizer of every training: AdamW, in the groups that the field has agreed on.

    decay      matrices alone; embeddings, biases and norms have none, and neither has what is
               trained at a rate of its own
    factor     rate of a group over the setup's: 1, or what `set_lr_scale` asked for

Loshchilov & Hutter 2019, arXiv:1711.05101.
"""

from collections.abc import Sequence

import torch
from torch import nn

from leanformer.train.scheduled_module import lr_scale
from leanformer.train.setup import TrainSetup


def adamw(modules: Sequence[nn.Module], setup: TrainSetup) -> torch.optim.AdamW:
    """AdamW over all parameters of `modules` that have gradients, in groups with a `factor` each.

    Args:
        modules: The model and the loss.
        setup: Decay and peak rate; the loop multiplies each group's `factor` in.
    """
    groups: dict[tuple[float, float], list[tuple[str, nn.Parameter]]] = {}
    # an embedding that rounds is one too, and is told by its rows as nn.Embedding is
    embeddings = {
        id(sub.weight) for m in modules for sub in m.modules() if hasattr(sub, "num_embeddings")
    }
    named = [
        (f"{place}.{name}", parameter)
        for place, module in enumerate(modules)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    ]
    for name, parameter in named:
        factor = lr_scale(parameter)
        plain = parameter.dim() < 2 or id(parameter) in embeddings or factor is not None
        key = (0.0 if plain else setup.weight_decay, 1.0 if factor is None else factor)
        groups.setdefault(key, []).append((name, parameter))  # checkpoints know them by name
    ordered = sorted(groups.items(), key=lambda item: (-item[0][0], item[0][1]))
    return torch.optim.AdamW(
        [{"params": p, "weight_decay": decay, "factor": f} for (decay, f), p in ordered],
        lr=setup.learning_rate,
        fused=True,
    )
