"""A training on one device, in one process."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.core.identity.differences import listed
from leanformer.core.machine.device import device_of
from leanformer.core.machine.generators import generator_states, set_generator_states
from leanformer.data import Batch
from leanformer.train.checkpoints import checkpoint, sharded
from leanformer.train.execution.execution import Execution, Groups, T
from leanformer.train.execution.finite import NotFinite
from leanformer.train.execution.transformed import transformed
from leanformer.train.loss import Carry, Counts, Loss, detached, loss_share, summed
from leanformer.train.optimizers.interface import grouped
from leanformer.train.precision import Precision
from leanformer.train.scheduled_module import ScheduledModule, penalties, scheduled_modules
from leanformer.train.setup import TrainSetup

_NAMED = 3  # parameters that a message names


class Share(nn.Module):
    """What a microbatch adds to the loss of its batch, as a module that others can wrap.

    Args:
        model: What is called: the model, or a compiled view of it.
        loss: What is minimized.
        scheduled: The modules of the model that add penalties.
        precision: In which precision it is computed.
    """

    def __init__(
        self,
        model: Any,
        loss: Loss,
        scheduled: Sequence[ScheduledModule],
        precision: Precision,
    ) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self.scheduled, self.precision = scheduled, precision

    def forward(
        self,
        part: Batch,
        carry: Carry,
        following: Carry,
        counts: Counts,
        penalized: float,
        counted: float = 1.0,
    ) -> tuple[Tensor, Carry]:
        """The share, a scalar; and the carry for the next step.

        Args:
            part: The microbatch, transformed.
            carry: What the step before handed on.
            following: What the microbatches before have made of it.
            counts: The units of the whole batch.
            penalized: The share of the step's penalties that is added here.
            counted: Factor of the terms: 0 where the microbatch only stands in for none.
        """
        with self.precision.autocast():
            outputs = self.loss.outputs(self.model, part, carry)
            share = loss_share(self.loss.terms(outputs, part), counts) * counted
            if (penalty := penalties(self.scheduled)) is not None:
                share = share + penalty * penalized
        return share, detached(self.loss.next_carry(outputs, part, following))


class OneDevice(Execution):
    """The device is the model's; the loss and the batches go where the model is.

    Args:
        model: What is trained, in place.
        loss: What is minimized; its parameters are trained too.
        setup: Optimizer, precision and clipping.

    Raises:
        ValueError: The model is to be compiled, and the loss observes it from outside.
    """

    writes = True
    processes = 1

    def __init__(self, model: nn.Module, loss: Loss, setup: TrainSetup) -> None:
        self.device = device_of(model)
        self.model, self.loss = model, loss.to(self.device)
        if setup.compile and not loss.compilable:
            raise ValueError(
                f"compile: {type(loss).__name__} observes the model from outside, which a compiled "
                "one does not show; leave compile out, or the objectives that compare attention"
            )
        self.max_grad_norm = setup.max_grad_norm
        named = [*model.named_parameters(), *loss.named_parameters("loss")]
        self.parameters = [p for _, p in named if p.requires_grad]
        self.names = [name for name, p in named if p.requires_grad]
        self.scheduled_modules = scheduled_modules(model)
        self.optimizer = setup.optimizer.build(grouped([model, loss]))
        for saver in setup.memory:
            self.optimizer = saver.optimizer(self.optimizer)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.precision = Precision(setup.precision, self.device.type)
        # a second view of the same weights, whose names stay; the model itself runs as before
        called = torch.compile(model) if setup.compile else model
        self.share: Any = Share(called, self.loss, self.scheduled_modules, self.precision)

    def forward_backward(self, parts: Sequence[Batch], carry: Carry) -> tuple[float, Carry]:
        """See `Execution.forward_backward`."""
        assert self.loss.additive or len(parts) == 1, "a loss that is not additive, in parts"
        # counted before they go to the device, which need not be waited for then
        shown = transformed(self.loss, parts)
        counts = self.total(summed([self.loss.counts(part) for part in shown]))
        self.model.train()
        shares, following = [], carry
        penalized = 1 / len(shown) / self.processes
        for place, whole in enumerate(shown):
            part, counted = self._rows(whole)
            part = part.to(self.device)
            with self._microbatch(counted, last=place == len(shown) - 1):
                share, following = self.share(part, carry, following, counts, penalized, counted)
                self.precision.backward(share)
            shares.append(share.detach())
        return self._loss_of(shares), following

    def _rows(self, whole: Batch) -> tuple[Batch, float]:
        """The rows of a microbatch that this process computes, and what they count."""
        return whole, 1.0

    def _microbatch(self, counted: float, last: bool) -> AbstractContextManager[None]:
        """What goes on around a forward and a backward pass."""
        return nullcontext()

    def _loss_of(self, shares: list[Tensor]) -> float:
        """The loss of the whole batch, from the shares of its microbatches."""
        # read once a step: each reading waits until a GPU has done all that it was given
        return float(sum(torch.stack(shares).cpu().tolist()))

    def total(self, counts: Counts) -> Counts:
        """See `Execution.total`: this process sees all of the batch."""
        return counts

    def norms(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """See `Execution.norms`: this process holds the whole of each."""
        # the gradients of swapped layers are in the host's memory
        return [torch.linalg.vector_norm(tensor).to(self.device) for tensor in tensors]

    def step(self, factor: float) -> bool:
        """See `Execution.step`."""
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        self.precision.unscale(self.optimizer)
        self._clip()
        moved = self.precision.step(self.optimizer)
        if not moved and self.precision.exhausted:
            raise NotFinite(
                "the gradients overflow fp16 even where the loss is scaled by "
                f"{self.precision.scaler.get_scale():g}, in {self._without_end()}"
            )
        self.optimizer.zero_grad(set_to_none=True)
        return moved

    def require_finite(self) -> None:
        """See `Execution.require_finite`."""
        finite = self._finite()
        if not all(finite):
            pairs = zip(self.names, finite, strict=True)
            names = listed([name for name, good in pairs if not good], _NAMED)
            raise NotFinite(f"the weights are not finite, in {names}")

    def _finite(self) -> list[bool]:
        """Whether each trained parameter is finite."""
        each = [p.detach().isfinite().all().to(self.device) for p in self.parameters]
        found = torch.stack(each).cpu()
        return [bool(one) for one in found]

    def _clip(self) -> None:
        """Scale the gradients down to the largest global norm that is allowed.

        Raises:
            NotFinite: The norm is not finite, and no loss scale has to do with it.
        """
        slopes = [p.grad for p in self.parameters if p.grad is not None]
        if not slopes:
            return
        norm = torch.linalg.vector_norm(torch.stack(self.norms(slopes)))
        if not self.precision.scales and not math.isfinite(norm):
            raise NotFinite(f"the norm of the gradient is {norm:g}, by {self._without_end()}")
        if self.max_grad_norm:
            for alike in self._alike():
                nn.utils.clip_grads_with_norm_(alike, self.max_grad_norm, norm)

    def _alike(self) -> list[list[nn.Parameter]]:
        """The trained parameters in groups of one kind, which torch scales together."""
        return [self.parameters]

    def _without_end(self) -> str:
        """The parameters whose gradients have no finite norm."""
        known = [(n, p.grad) for n, p in zip(self.names, self.parameters, strict=True)]
        there = [(name, slope) for name, slope in known if slope is not None]
        norms = self.norms([slope for _, slope in there])
        names = [n for (n, _), norm in zip(there, norms, strict=True) if not norm.isfinite()]
        return listed(names, _NAMED)

    def decide(self, value: T) -> T:
        """See `Execution.decide`: there is one process."""
        return value

    def wished(self, wish: bool) -> bool:
        """See `Execution.wished`: there is one process."""
        return wish

    def weights(self) -> dict[str, Tensor]:
        """See `Execution.weights`."""
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def close(self) -> None:
        """See `Execution.close`: the model was never anything else."""

    def write(self, folder: Path, groups: Groups, state: dict[str, Any]) -> None:
        """See `Execution.write`."""
        if self.writes:
            checkpoint.save(folder, groups, state)

    def read(self, folder: Path) -> tuple[Groups, dict[str, Any]] | None:
        """See `Execution.read`."""
        return sharded.load_whole(folder)

    def state(self) -> tuple[Groups, dict[str, Any]]:
        """See `Execution.state`."""
        groups = {
            "model": checkpoint.weights(self.model),
            "loss": checkpoint.weights(self.loss),
            "optimizer": checkpoint.optimizer_tensors(self.optimizer),
            "random": generator_states(self.device),
        }
        return groups, {"scale": self.precision.scaler.state_dict()}

    def restore(self, groups: Groups, values: dict[str, Any], folder: Path) -> None:
        """See `Execution.restore`."""
        checkpoint.load_weights(self.model, groups["model"], folder)
        checkpoint.load_weights(self.loss, groups["loss"], folder)
        checkpoint.restore_optimizer(self.optimizer, groups["optimizer"])
        self.precision.scaler.load_state_dict(values["scale"])
        set_generator_states(self.device, groups["random"])
