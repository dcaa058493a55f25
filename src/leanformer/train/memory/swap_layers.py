"""One hot layer: the weights of layers live in the host's memory and visit the device.

    forward      layer i computes             layer i + 1 is on its way to the device
    backward     layer i computes again       layer i - 1 is on its way to the device,
                 and its gradients            gradients of layer i + 1 are on theirs to the host

The device holds the embeddings, the head and two layers, however many there are. The CPU does the
optimizer's steps of layers, because it has their weights, gradients and moments. Each layer is
checkpointed: its input is kept, and it runs again in the backward pass, which costs little where
the bus sets the pace. For each microbatch a weight crosses the bus twice and its gradient once, so
microbatches should be as large as the device can take.

With `rows`, rows of a microbatch pass the visiting layer a few at a time, as in L2L. Activations
that are computed again are then those of a few rows of one layer, and what limits a microbatch are
the inputs of layers.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from leanformer.core.machine.device import device_of
from leanformer.core.ranges import Count
from leanformer.core.technique import technique
from leanformer.train.loss import Loss
from leanformer.train.memory.checkpoint_activations import refuse_checkpointed
from leanformer.train.memory.interface import MemorySaver
from leanformer.train.memory.layers import layers_of
from leanformer.train.memory.replaced import replaced
from leanformer.train.memory.visiting_weights import Swap
from leanformer.train.ranks import count_ranks


@technique(
    "swap-layers",
    paper="Pudipeddi et al. 2020 (L2L), arXiv:2002.05645",
)
class SwapLayers(MemorySaver):
    """Keep the layers' weights in the host's memory and fetch each layer before it computes."""

    rows: Count | None = None
    """Rows of a microbatch that pass a layer at a time; None = all. The weights and their gradients
    cross the bus as often as without, and each group of rows is checkpointed by itself. Fewer rows
    need less memory, until they no longer keep the device busy. Dropout draws other numbers."""

    @contextmanager
    def apply(self, model: nn.Module, loss: Loss) -> Iterator[None]:
        """See `MemorySaver.apply`. Within it the parameters of layers are in the host's memory.

        Without gradients all rows pass a layer at once. A layer whose arguments or outputs have no
        batch dimension, or whose rows look at one another, raises in its first forward pass with
        `rows` (see `Rows.run`).

        Raises:
            ValueError: The model is there already, its layers share weights with one another or
                with other parts, are all that it has, or are checkpointed already; or several
                processes train it.
        """
        device, layers = device_of(model), layers_of(model, "swap-layers")
        refuse_checkpointed(layers)
        _check_swaps(model, layers, device)
        for layer in layers:
            layer._apply(lambda tensor: _to_host(tensor, device))
        swap = Swap(layers, device, self.rows)
        try:
            with replaced() as replace:
                if getattr(getattr(model, "config", None), "use_cache", False):
                    replace(model.config, "use_cache", False)
                for place, layer in enumerate(layers):
                    replace(layer, "forward", swap.forward(place))
                yield
        finally:
            for layer in layers:
                layer._apply(lambda tensor: tensor.detach().to(device))


def _to_host(tensor: Tensor, device: torch.device) -> Tensor:
    """A parameter in the host's memory; buffers stay, since layers may change them."""
    if not isinstance(tensor, nn.Parameter):
        return tensor
    there = torch.empty_like(tensor, device="cpu", pin_memory=device.type == "cuda")
    return there.copy_(tensor.detach())


def _check_swaps(model: nn.Module, layers: list[nn.Module], device: torch.device) -> None:
    """Refuse a model whose layers cannot be swapped.

    Raises:
        ValueError: See `SwapLayers.apply`.
    """
    if device.type == "cpu":
        raise ValueError(
            "swap-layers: the model is on the CPU, whose memory is the host's, so that nothing "
            "would be gained; leave this saver out of memory"
        )
    if count_ranks() > 1:
        raise ValueError(
            "swap-layers: several processes train this model, and gradients in the host's memory "
            "are not added up; share out the weights instead, with parallel.zero = 3"
        )
    inside = {module for layer in layers for module in layer.modules()}
    uses = [[p for p in m._parameters.values() if p is not None] for m in model.modules()]
    rest = {
        id(p)
        for module, own in zip(model.modules(), uses, strict=True)
        if module not in inside
        for p in own
    }
    own = [id(p) for layer in layers for p in layer.parameters()]
    if len(own) != len(set(own)) or rest & set(own):
        raise ValueError(
            "swap-layers: the layers share weights with one another or with the rest of the model, "
            "which would have to stay on the device; use checkpoint-activations and "
            "offload-optimizer instead"
        )
    if not rest or id(next(model.parameters())) in own:
        raise ValueError(
            "swap-layers: the model begins with its layers, so that nothing tells its device; use "
            "checkpoint-activations and offload-optimizer instead"
        )
