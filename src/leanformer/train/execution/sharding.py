"""A model whose weights are shared out among ranks while it is trained, and whole again afterwards.

    zero 1    weights are gathered once a step; gradients are added up here and shared out once
    zero 2    weights are gathered once a step; the gradients of each microbatch are shared out
    zero 3    weights of a layer are gathered for its forward and again for its backward pass

torch's `fully_shard` does the work (FSDP2). Gradients are sums over ranks and not means, since a
loss is divided by the count of the whole batch. What torch cannot do is let go of a model again:
`restore` does it, so that whatever comes after a training meets the model that it knows, with the
same parameter objects.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import _composable_state
from torch.distributed._composable.contract import REGISTRY_KEY, STATE_KEY
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from leanformer.models.layers import repeated_layers
from leanformer.train.optimizers.norms import local_piece
from leanformer.train.ranks import Ranks
from leanformer.train.scheduled_module import scheduled_modules

_MARKS = (STATE_KEY, REGISTRY_KEY, "_is_fsdp_managed_module", "_fsdp_use_orig_params")


class Sharding:
    """The weights of a model, shared out.

    Args:
        model: The model; until `restore` each rank holds a part of its weights.
        ranks: The ranks, whose plan says what is shared out.
        dtype: In which type weights are gathered; None = in their own.
    """

    def __init__(self, model: nn.Module, ranks: Ranks, dtype: torch.dtype | None) -> None:
        self.model, self.zero = model, ranks.plan.zero
        self._places = [
            (module, name, parameter)
            for module in model.modules()
            for name, parameter in module._parameters.items()
            if parameter is not None
        ]
        kept = set(_penalized(model))
        mesh = ranks.mesh if ranks.plan.replicate > 1 else ranks.mesh["shard"]
        policy = MixedPrecisionPolicy(
            param_dtype=dtype, reduce_dtype=torch.float32 if dtype else None
        )
        for unit in (*repeated_layers(model), model):
            fully_shard(
                unit,
                mesh=mesh,
                reshard_after_forward=self.zero == 3,
                mp_policy=policy,
                ignored_params=kept,
            )
        for unit in self._units():
            unit.set_gradient_divide_factor(1.0)
            unit.set_force_sum_reduction_for_comms(True)
        for module, name, parameter in self._places:
            # optimizers ask the parameter how it is trained
            if module._parameters[name] is parameter:  # every rank keeps it
                continue
            module._parameters[name].__dict__.update(parameter.__dict__)  # type: ignore[union-attr]
            parameter.data = parameter.data.new_empty(0)

    def begin_microbatch(self, last: bool) -> None:
        """Say what the backward pass of the next microbatch does with weights and gradients."""
        for unit in self._units():
            unit.set_is_last_backward(last)
            unit.set_requires_gradient_sync(last or self.zero > 1)
            unit.set_reshard_after_backward(last or self.zero == 3)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Within it, each rank holds all weights; what is changed in them stays, and must be
        changed alike on all ranks.
        """
        self._let_go()
        parts: dict[int, tuple[DTensor, nn.Parameter]] = {}
        for module, name, _ in self._places:
            part = module._parameters[name]
            if isinstance(part, DTensor):
                if id(part) not in parts:  # tied weights stand in several places
                    full = nn.Parameter(part.full_tensor().detach(), part.requires_grad)
                    parts[id(part)] = part, full
                module._parameters[name] = parts[id(part)][1]
        held = {id(full): part for part, full in parts.values()}
        try:
            yield
        finally:
            for shared, changed in parts.values():
                local_piece(shared.detach()).copy_(local_piece(like(changed.detach(), shared)))
            for module, name, _ in self._places:
                now = module._parameters[name]
                module._parameters[name] = held.get(id(now), now)  # type: ignore[assignment]

    def _let_go(self) -> None:
        """Let each rank hold its part alone, as it is between two steps."""
        for unit in self._units():
            unit.reshard()

    def restore(self) -> None:
        """Make the model whole on every rank: the parameters are the objects that they were."""
        self._let_go()  # an evaluation leaves weights gathered
        for module, name, parameter in self._places:
            part = module._parameters[name]
            if isinstance(part, DTensor):
                parameter.data = part.full_tensor().detach()
            module._parameters[name] = parameter
        for unit in list(self._units()):
            state: Any = unit._get_fsdp_state()
            state._pre_forward_hook_handle.remove()
            state._post_forward_hook_handle.remove()
            _remove_hooks(state)
            _composable_state._module_state_mapping.pop(unit, None)
            unit.__class__ = unit.__class__.__bases__[1]
        for module in self.model.modules():
            for mark in _MARKS:
                module.__dict__.pop(mark, None)

    def _units(self) -> Iterator[Any]:
        return (module for module in self.model.modules() if isinstance(module, FSDPModule))


def _remove_hooks(state: Any) -> None:
    """Take away what `state_dict` and `load_state_dict` of the modules would call."""
    for group in state._fsdp_param_groups:
        for handles in (
            group._module_to_pre_save_state_dict_hook_handle,
            group._module_to_pre_load_state_dict_hook_handle,
        ):
            for handle in handles.values():
                handle.remove()
        for parameter in group.fsdp_params:
            parameter._post_load_hook_handle.remove()


def _penalized(model: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters that a penalty reads, outside of any forward pass: each rank keeps all of them.

    Raises:
        ValueError: A module does not say which those are.
    """
    for module in scheduled_modules(model):
        asked = module.penalized()
        if asked is None:
            raise ValueError(
                f"parallel: {type(module).__name__} adds a penalty and does not say of which "
                "weights, which zero shares out; let its `penalized` name them, or set zero = 0"
            )
        yield from asked


def like(whole: Tensor, asked: Tensor) -> Tensor:
    """`whole`, which is the same on all ranks, shared out as `asked` is."""
    if not isinstance(asked, DTensor) or isinstance(whole, DTensor) or whole.shape != asked.shape:
        return whole
    device = local_piece(asked).device
    return distribute_tensor(
        whole.to(device), asked.device_mesh, asked.placements, src_data_rank=None
    )
