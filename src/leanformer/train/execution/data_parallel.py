"""A training on several ranks, each of which computes some rows of every microbatch.

    gradient = sum over ranks of the gradients of their rows, divided by the whole batch's counts

All ranks read the whole batch, draw the same chance for it and count its units; then a rank takes
every N-th row. So a sum over ranks is the sum that one process would have had, and nothing has to
be rescaled. Rows of a microbatch stand in order of length: each rank gets as many long ones.

    zero 0    torch's DistributedDataParallel adds gradients up beside the backward pass
    zero 1-3  the model is shared out (`sharding`)

Weights that belong to the loss are few: every rank holds them, and their gradients are added up.
"""

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import GradBucket
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from leanformer.core.machine.device import device_of
from leanformer.core.machine.generators import generator_states, set_generator_states
from leanformer.data import Batch
from leanformer.models.reversible.decoder import refuse_reversible
from leanformer.numerics.over_ranks import sharing_rows
from leanformer.train.checkpoints import sharded
from leanformer.train.execution.alike import require_alike, require_alike_buffers
from leanformer.train.execution.execution import Groups, T
from leanformer.train.execution.one_device import OneDevice
from leanformer.train.execution.sharding import Sharding, like
from leanformer.train.loss import Carry, Loss
from leanformer.train.optimizers.norms import local_piece, whole_norms
from leanformer.train.precision import has_bf16
from leanformer.train.ranks import Ranks
from leanformer.train.setup import TrainSetup

# torch 2.13 renamed it: whether rank 0's buffers replace those of the others before each forward
_SYNC = "forward_sync_buffers"
if _SYNC not in inspect.signature(DistributedDataParallel).parameters:
    _SYNC = "broadcast_buffers"


class DataParallel(OneDevice):
    """Ranks that share the rows of each batch, and as `parallel` says also the model's state.

    Args:
        model: What is trained; every rank begins with the same weights.
        loss: What is minimized.
        setup: Optimizer, precision, clipping, and the plan of the ranks.

    Raises:
        ValueError: The plan is for another number of processes; the loss compares the examples of a
            batch; or the model is to be compiled, or is reversible, together with sharing.
    """

    def __init__(self, model: nn.Module, loss: Loss, setup: TrainSetup) -> None:
        self.ranks = Ranks(setup.parallel, device_of(model))
        if not loss.additive:
            raise ValueError(
                f"parallel: {type(loss).__name__} compares the examples of a batch with each "
                "other, and ranks share out its examples; train it with one process"
            )
        if setup.compile and self.ranks.plan.zero:
            raise ValueError(
                f"compile: weights that zero = {self.ranks.plan.zero} shares out come and go while "
                "the model runs, which a compiled one does not allow; leave compile out, or set "
                "zero = 0"
            )
        if self.ranks.plan.zero:
            refuse_reversible(model, f"parallel: zero = {self.ranks.plan.zero}")
        self.ranks.take_over([*model.state_dict().values(), *loss.state_dict().values()])
        self.sharding: Sharding | None = None
        if self.ranks.plan.zero:
            half = setup.precision == "bf16" and has_bf16(device_of(model).type)
            self.sharding = Sharding(model, self.ranks, torch.bfloat16 if half else None)
        try:
            super().__init__(model, loss, setup)
        except ValueError:  # on all ranks alike: what was asked for does not go together
            if self.sharding is not None:
                self.sharding.restore()
            raise
        self.writes, self.processes = self.ranks.rank == 0, self.ranks.count
        self._chance: dict[str, Tensor] = {}
        self._compared = False
        if self.sharding is None:
            quiet: dict[str, Any] = {_SYNC: False, "find_unused_parameters": True}
            self.share = DistributedDataParallel(self.share, **quiet)
            self.share.register_comm_hook(None, _added)

    def forward_backward(self, parts: Sequence[Batch], carry: Carry) -> tuple[float, Carry]:
        """See `Execution.forward_backward`."""
        loss, following = super().forward_backward(parts, carry)
        if following:
            raise ValueError(
                f"parallel: {type(self.loss).__name__} hands something on from step to step, which "
                "ranks do not; train it with one process"
            )
        return loss, following

    def _loss_of(self, shares: list[Tensor]) -> float:
        """See `OneDevice._loss_of`: added up over the ranks, with the gradients that nothing has
        added up.
        """
        loss = torch.stack(shares).sum()
        self.ranks.add([loss, *self._apart()])
        if not self._compared:
            require_alike_buffers(self.ranks, self.model)
            self._compared = True
        return float(loss)

    def _rows(self, whole: Batch) -> tuple[Batch, float]:
        """The rows of this rank, and what they count: 0 where there are none left for it. It
        computes the first row then, since all ranks gather and add together.
        """
        rows = list(range(self.ranks.rank, len(whole.index), self.ranks.count))
        return whole.take(rows or [0]), 1.0 if rows else 0.0

    @contextmanager
    def _microbatch(self, counted: float, last: bool) -> Iterator[None]:
        """See `OneDevice._microbatch`: gradients are added up over the ranks in the last one, or
        under ZeRO as it says.
        """
        together = last or self.sharding is not None
        if self.sharding is not None:
            self.sharding.begin_microbatch(last)
        apart = nullcontext() if together else self.share.no_sync()
        with self._own_chance(), sharing_rows(counted), apart:
            yield

    def _apart(self) -> list[Tensor]:
        """Gradients that nothing has added up: of the loss, and of what is not shared out."""
        if self.sharding is None:
            return []
        plain = [p for p in self.parameters if not isinstance(p, DTensor)]
        return [p.grad for p in plain if p.grad is not None]

    def _alike(self) -> list[list[nn.Parameter]]:
        """See `OneDevice._alike`: what is shared out, and what every rank holds."""
        kinds: dict[bool, list[nn.Parameter]] = {}
        for parameter in self.parameters:
            kinds.setdefault(isinstance(parameter, DTensor), []).append(parameter)
        return list(kinds.values())

    @contextmanager
    def _own_chance(self) -> Iterator[None]:
        """Within it, dropout is drawn for the rows of this rank; outside all ranks draw alike."""
        shared = generator_states(self.device)
        if not self._chance:
            seen = shared["cpu"].numpy().tobytes() + bytes(str(self.ranks.rank), "ascii")
            torch.manual_seed(int.from_bytes(hashlib.sha256(seen).digest()[:8], "big") >> 1)
            self._chance = generator_states(self.device)
        set_generator_states(self.device, self._chance)
        try:
            yield
        finally:
            self._chance = generator_states(self.device)
            set_generator_states(self.device, shared)

    def norms(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """See `Execution.norms`: squares are added up over the ranks that share a tensor out."""
        return whole_norms(tensors)

    def decide(self, value: T) -> T:
        """See `Execution.decide`."""
        return self.ranks.decide(value)

    def wished(self, wish: bool) -> bool:
        """See `Execution.wished`."""
        asked = torch.tensor([float(wish)], device=self.device)
        self.ranks.add([asked])
        return bool(asked.item())

    def require_alike(self, what: dict[str, Any]) -> None:
        """See `Execution.require_alike`."""
        require_alike(self.ranks, what)

    def moving(self) -> AbstractContextManager[None]:
        """See `Execution.moving`."""
        if self.sharding is None or not self.scheduled_modules:
            return nullcontext()
        return self.sharding.whole()

    def _finite(self) -> list[bool]:
        """Whether each trained parameter is finite, on all ranks."""
        found = torch.stack([local_piece(p.detach()).isfinite().all() for p in self.parameters])
        kept = found.to(torch.int32)
        dist.all_reduce(kept, op=dist.ReduceOp.MIN)
        return [bool(one) for one in kept.cpu()]

    def close(self) -> None:
        """See `Execution.close`."""
        self.share = None
        if self.sharding is not None:
            self.sharding.restore()

    def state(self) -> tuple[Groups, dict[str, Any]]:
        """See `Execution.state`: with what each rank draws from."""
        groups, values = super().state()
        for rank, own in enumerate(self.ranks.gather(self._chance)):
            groups["random"] |= {f"rank{rank}.{device}": one for device, one in own.items()}
        return groups, values

    def restore(self, groups: Groups, values: dict[str, Any], folder: Path) -> None:
        """See `Execution.restore`: ranks draw on where there are as many as before, and else begin
        from what all of them draw from.
        """
        super().restore(groups, values, folder)
        own = f"rank{self.ranks.rank}."
        drawn = {name: one for name, one in groups["random"].items() if name.startswith(own)}
        before = sum(name.endswith(".cpu") for name in groups["random"])
        self._chance = {}
        if before == self.ranks.count:
            self._chance = {name.removeprefix(own): one for name, one in drawn.items()}

    def write(self, folder: Path, groups: Groups, state: dict[str, Any]) -> None:
        """See `Execution.write`."""
        sharded.save(folder, groups, state, self.ranks)

    def read(self, folder: Path) -> tuple[Groups, dict[str, Any]] | None:
        """See `Execution.read`: each rank ends with what it holds of every tensor."""
        found = sharded.load(folder, self._as_shared_out, self.ranks)
        if found is None:
            return None
        groups, state = found
        known = self._known()
        for group in known.keys() & groups.keys():
            for name, whole in groups[group].items():
                groups[group][name] = like(whole, known[group].get(_held_by(group, name), whole))
        return groups, state

    def _as_shared_out(self, group: str, name: str, empty: Tensor) -> Tensor:
        """Where a tensor of a checkpoint is read into: `empty`, or what this rank holds of it."""
        known = self._known().get(group, {}).get(_held_by(group, name))
        if isinstance(known, DTensor) and known.shape == empty.shape:
            return torch.zeros_like(known.detach(), dtype=empty.dtype)
        return empty

    def _known(self) -> Groups:
        """What this rank holds of the tensors of each group that may be shared out."""
        model = self.model.state_dict()
        return {"model": model, "best": model, "optimizer": self._parameters_by_place()}

    def _parameters_by_place(self) -> dict[str, Tensor]:
        """The trained parameters, as the optimizer calls them."""
        return {
            name: parameter
            for group in self.optimizer.param_groups
            for name, parameter in zip(group["param_names"], group["params"], strict=True)
        }


def _held_by(group: str, name: str) -> str:
    """The parameter that a tensor of a checkpoint belongs to."""
    return name.rsplit(".", 1)[0] if group == "optimizer" else name


def _added(state: None, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    """The sum of a bucket of gradients over all ranks; torch's own way would divide it."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    done: torch.futures.Future[Tensor] = work.get_future().then(lambda future: future.value()[0])
    return done
