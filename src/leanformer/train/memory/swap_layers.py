"""One hot layer: the weights of layers live in the host's memory and visit the device.

    forward      layer i computes             layer i + 1 is on its way to the device
    backward     layer i computes again       layer i - 1 is on its way to the device,
                 and its gradients            gradients of layer i + 1 are on theirs to the host

The device holds the embeddings, the head and two layers, however many there are. The CPU does the
optimizer's steps of layers, because it has their weights, gradients and moments. Each layer is
checkpointed: its input is kept, and it runs again in the backward pass, which costs little where
the bus sets the pace. For each microbatch a weight crosses the bus twice and its gradient once, so
microbatches should be as large as the device can take.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.core.machine.device import device_of
from leanformer.core.technique import technique
from leanformer.numerics.backward import runs_again
from leanformer.train.loss import Loss
from leanformer.train.memory.checkpoint_activations import checkpointed, refuse_checkpointed
from leanformer.train.memory.interface import MemorySaver
from leanformer.train.memory.layers import layers_of
from leanformer.train.memory.replaced import replaced
from leanformer.train.memory.side_stream import SideStream
from leanformer.train.ranks import count_ranks


@technique(
    "swap-layers",
    paper="Pudipeddi et al. 2020 (L2L), arXiv:2002.05645",
)
class SwapLayers(MemorySaver):
    """Keep the layers' weights in the host's memory and fetch each layer before it computes."""

    @contextmanager
    def apply(self, model: nn.Module, loss: Loss) -> Iterator[None]:
        """See `MemorySaver.apply`. Within it the parameters of layers are in the host's memory.

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
        swap = Swap(layers, device)
        try:
            with replaced() as replace:
                if getattr(getattr(model, "config", None), "use_cache", False):
                    replace(model.config, "use_cache", False)
                for place, layer in enumerate(layers):
                    replace(layer, "forward", swap.forward(place))
                    replace(layer, "forward", checkpointed(layer))
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


class Swap:
    """Brings the weights of layers to the device, and their gradients back.

    Attributes:
        fetched_bytes: Bytes of weights that went to the device.
        returned_bytes: Bytes of gradients that went to the host.
    """

    def __init__(self, layers: list[nn.Module], device: torch.device) -> None:
        self.side = SideStream(device)
        self.fetched_bytes = self.returned_bytes = 0
        self._layers = layers
        self._parameters = [list(layer.parameters()) for layer in layers]
        self._coming: dict[int, tuple[list[int], list[Tensor], Any]] = {}
        self._returning: list[tuple[nn.Parameter, Tensor, Any]] = []
        self._queued = False

    def forward(self, place: int) -> Callable[..., Any]:
        """The forward of a layer that is fetched for it."""
        layer, parameters = self._layers[place], self._parameters[place]
        real = layer.forward

        def run(*arguments: Any, **named: Any) -> Any:
            copies = self._take(place)
            self._fetch(place - 1 if runs_again() else place + 1)
            weights = _Visiting.apply(self, parameters, copies, *parameters)
            known = {id(p): w for p, w in zip(parameters, weights, strict=True)}
            with _resident(layer, known):
                return real(*arguments, **named)

        return run

    def _fetch(self, place: int) -> None:
        """Begin to bring a layer, unless it is on its way."""
        if place in self._coming or not 0 <= place < len(self._layers):
            return
        parameters = self._parameters[place]
        with self.side.beside(after=False):
            copies = [self.side.to_device(parameter.detach()) for parameter in parameters]
        self.fetched_bytes += sum(p.numel() * p.element_size() for p in parameters)
        self._coming[place] = [p._version for p in parameters], copies, self.side.mark()

    def _take(self, place: int) -> list[Tensor]:
        """The weights of a layer on the device, as they are now."""
        present = [p._version for p in self._parameters[place]]
        if place in self._coming and self._coming[place][0] != present:
            del self._coming[place]  # it was fetched for a pass that never came
        self._fetch(place)
        _, copies, done = self._coming.pop(place)
        self.side.wait(done, *copies)
        return copies

    def give_back(self, parameters: list[nn.Parameter], slopes: tuple[Tensor | None, ...]) -> None:
        """Begin to bring gradients to the host, where they are added to those of before."""
        for parameter, slope in zip(parameters, slopes, strict=True):
            if slope is not None:
                with self.side.beside():
                    there = self.side.to_host(slope)
                self.returned_bytes += there.numel() * there.element_size()
                self._returning.append((parameter, there, self.side.mark()))
        while self._returning and _is_done(self._returning[0][2]):
            self._add(*self._returning.pop(0))
        if not self._queued:
            self._queued = True
            torch.autograd.Variable._execution_engine.queue_callback(self._finish)

    def _finish(self) -> None:
        """At the end of a backward pass all gradients are there."""
        self._queued = False
        while self._returning:
            self._add(*self._returning.pop(0))

    def _add(self, parameter: nn.Parameter, slope: Tensor, done: Any) -> None:
        if done is not None:
            done.synchronize()
        if parameter.grad is None:
            parameter.grad = slope
        else:
            parameter.grad.add_(slope)


def _is_done(mark: Any) -> bool:
    return mark is None or bool(mark.query())


class _Visiting(torch.autograd.Function):
    """Copies on the device in place of parameters in the host's memory."""

    @staticmethod
    def forward(
        ctx: Any, swap: Swap, own: list[nn.Parameter], copies: list[Tensor], *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        """The copies; their gradients are those of the parameters."""
        ctx.swap, ctx.own = swap, own
        ctx.set_materialize_grads(False)
        still = [c for c, p in zip(copies, parameters, strict=True) if not p.requires_grad]
        ctx.mark_non_differentiable(*still)
        return tuple(copies)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[None, ...]:
        """Gradients go to the host beside the computing, and not through autograd."""
        ctx.swap.give_back(ctx.own, slopes)
        return (None,) * (3 + len(slopes))


@contextmanager
def _resident(layer: nn.Module, weights: dict[int, Tensor]) -> Iterator[None]:
    """Within it, the modules of a layer have these weights, by the `id` of their parameters."""
    homes = [module._parameters for module in layer.modules()]
    before = [dict(home) for home in homes]
    for home in homes:
        home.update({n: weights[id(p)] for n, p in home.items() if p is not None})  # type: ignore[misc]
    try:
        yield
    finally:
        for home, own in zip(homes, before, strict=True):
            home.update(own)
