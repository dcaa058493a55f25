"""FFN neurons are removed physically: rows of the first projection, columns of the second.

Neuron f reaches the layer only through column f of W_2, out = Σ_f act(x W_1ᵀ + b_1)_f W_2[:, f]ᵀ +
b_2, so the cut model equals the model with f masked at the FFN point. Gated units (Llama,
ModernBERT) lose the row of the gate as well.
"""

from torch import nn

from leanformer.models.anatomy import require_prunable
from leanformer.models.anatomy.cuts import cut_neurons
from leanformer.models.cutting.selection import Keep, per_layer
from leanformer.models.lean.per_layer_shapes import describe


def keep_neurons(model: nn.Module, keep: Keep) -> None:
    """Keep these FFN neurons and remove the others, in place; the configuration follows.

    Args:
        model: A transformers model of a known family, with any head.
        keep: Neurons to keep by layer.

    Raises:
        ValueError: Unknown architecture, or indices that do not fit; nothing was changed.
    """
    anatomy = require_prunable(model)
    layers = anatomy.layers(model)
    chosen = per_layer(keep, [anatomy.ffn_width(layer) for layer in layers], "neuron")
    for layer, neurons in zip(layers, chosen, strict=True):
        cut_neurons(anatomy, layer, neurons)
    describe(model)
