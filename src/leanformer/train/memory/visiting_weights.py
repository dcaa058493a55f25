"""Weights of layers that visit a device: they come for one pass of a layer, and gradients go back.

    forward      weights come, rows pass a few at a time, weights go
    backward     weights come, each group of rows computes again and gives its gradients, which are
                 summed on the device; the sums go to the host once, weights go

Each group is checkpointed by itself, so that it computes again once, and the activations on the
device are those of one group in one layer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.numerics.backward import backward_pass, runs_again
from leanformer.train.memory.checkpoint_activations import checkpointed, is_checkpointed
from leanformer.train.memory.row_groups import Rows
from leanformer.train.memory.side_stream import SideStream

_Weights = dict[int, Tensor]  # on the device, by the `id` of their parameters


class Swap:
    """Brings the weights of layers to the device, and their gradients back.

    Args:
        layers: Their parameters are in the host's memory.
        device: Where they compute.
        rows: Rows of the batch that pass a layer at a time; None = all.

    Attributes:
        fetched_bytes: Bytes of weights that went to the device.
        returned_bytes: Bytes of gradients that went to the host.
    """

    def __init__(
        self, layers: list[nn.Module], device: torch.device, rows: int | None = None
    ) -> None:
        self.side = SideStream(device)
        self.fetched_bytes = self.returned_bytes = 0
        self._layers, self._rows = layers, rows
        self._parameters = [list(layer.parameters()) for layer in layers]
        self._coming: dict[int, tuple[list[int], list[Tensor], Any]] = {}
        self._again: tuple[int, _Weights] | None = None  # of the layer that computes again
        self._returning: list[tuple[nn.Parameter, Tensor, Any]] = []
        self._ends: int | None = None  # the backward pass at whose end `_finish` is called

    def forward(self, place: int) -> Callable[..., Any]:
        """The forward of a layer: its weights visit, and it is checkpointed in groups of rows."""
        layer = self._layers[place]
        real = layer.forward
        apart = None if self._rows is None else Rows(self._rows, layer, f"layer {place}")

        def run(*arguments: Any, **named: Any) -> Any:
            if not runs_again():
                self._forget_failed()
            here = [self._arrive(place, coming=place + 1)]

            def compute(*arguments: Any, **named: Any) -> Any:
                with _resident(layer, here[0] if here else self._arrive_again(place)):
                    return real(*arguments, **named)

            try:
                if apart is None or not is_checkpointed(layer):
                    return checkpointed(layer, compute)(*arguments, **named)
                return apart.run(compute, checkpointed(layer, compute), arguments, named)
            finally:
                here.clear()  # the graph keeps `compute`, and must not keep the weights

        run.keeps_inputs = True  # type: ignore[attr-defined]
        return run

    def _arrive(self, place: int, coming: int) -> _Weights:
        """The weights of a layer, for one pass of it; another layer is on its way."""
        copies = self._take(place)
        self._fetch(coming)
        own = self._parameters[place]
        weights = _Visiting.apply(self, place, copies, *own)
        return {id(p): w for p, w in zip(own, weights, strict=True)}

    def _arrive_again(self, place: int) -> _Weights:
        """The weights of a layer in the backward pass: they stay until its last group is done."""
        if self._again is None or self._again[0] != place:
            self._again = None
            self._again = place, self._arrive(place, coming=place - 1)
            self._call_at_the_end()
        return self._again[1]

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

    def give_back(self, place: int, slopes: tuple[Tensor | None, ...]) -> None:
        """Begin to bring a layer's gradients, those of all groups, to the host; its weights go."""
        if self._again is not None and self._again[0] == place:
            self._again = None
        for parameter, slope in zip(self._parameters[place], slopes, strict=True):
            if slope is not None:
                with self.side.beside():
                    there = self.side.to_host(slope)
                self.returned_bytes += there.numel() * there.element_size()
                self._returning.append((parameter, there, self.side.mark()))
        while self._returning and _is_done(self._returning[0][2]):
            self._add(*self._returning.pop(0))
        self._call_at_the_end()

    def _call_at_the_end(self) -> None:
        """Have `_finish` called at the end of the present backward pass."""
        if self._ends != backward_pass():
            self._ends = backward_pass()
            torch.autograd.Variable._execution_engine.queue_callback(self._finish)

    def _finish(self) -> None:
        """At the end of a backward pass all gradients are there, and no weights."""
        self._ends = self._again = None
        while self._returning:
            self._add(*self._returning.pop(0))

    def _forget_failed(self) -> None:
        """Forget what a backward pass left that ended in an error; others leave nothing."""
        self._ends = self._again = None
        self._returning.clear()

    def _add(self, parameter: nn.Parameter, slope: Tensor, done: Any) -> None:
        """Add a gradient to those of before."""
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
        ctx: Any, swap: Swap, place: int, copies: list[Tensor], *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        """The copies; their gradients are those of the parameters."""
        ctx.swap, ctx.place = swap, place
        ctx.set_materialize_grads(False)
        still = [c for c, p in zip(copies, parameters, strict=True) if not p.requires_grad]
        ctx.mark_non_differentiable(*still)
        return tuple(copies)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[None, ...]:
        """Gradients go to the host beside the computing, and not through autograd, which calls
        this once per layer, with the sums over groups.
        """
        ctx.swap.give_back(ctx.place, slopes)
        return (None,) * (3 + len(slopes))


@contextmanager
def _resident(layer: nn.Module, weights: _Weights) -> Iterator[None]:
    """Within it, the modules of a layer have these weights."""
    homes = [module._parameters for module in layer.modules()]
    before = [dict(home) for home in homes]
    for home in homes:
        home.update({n: weights[id(p)] for n, p in home.items() if p is not None})  # type: ignore[misc]
    try:
        yield
    finally:
        for home, own in zip(homes, before, strict=True):
            home.update(own)
