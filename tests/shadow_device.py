"""A second device made of CPU memory: what must run on a GPU is tested where there is none.

    device = shadow()                                 # skips the test where torch cannot make one
    model.to(device)
    model(input_ids=ids.to(device))                   # answers as on the CPU
    model(input_ids=ids)                              # raises: two devices, shadow:0 and cpu

A tensor on "shadow" wraps a tensor in CPU memory, and every operation is done on that. One that
mixes the two devices raises, as on CUDA: scalars may mix, and indices may be on the CPU. Moving a
module keeps its ties and the attributes of its parameters, as on CUDA.

Different from CUDA: `tolist` needs `.cpu()` first, autocast casts nothing (compare in fp32), make an
optimizer after the move (the parameters are new objects), `torch.Generator("shadow")`, `pin_memory`,
streams and torch.compile do not exist. Addresses (`data_ptr`) say nothing: all are 0.

Whoever asks for "auto" does not get it, in other tests of the same process.
Import it at the top of a test file: torch counts its devices at the first `backward` of a process.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

try:
    from torch.utils.backend_registration import (
        _setup_privateuseone_for_python_backend as _register,
    )
except ImportError:  # the function is experimental
    _register = None

NAME = "shadow"
_MAY_MIX = {
    f"aten::{name}"
    for name in (
        "_to_copy", "to", "copy_", "_copy_from", "_local_scalar_dense", "is_pinned", "_pin_memory"
    )
}  # fmt: skip
_libraries: list[torch.library.Library] = []  # they live as long as the process


def shadow() -> torch.device:
    """The device; the test that asks for it is skipped where torch cannot make one."""
    if _register is None:
        pytest.skip("this torch has no devices written in Python")
    return torch.device(NAME, 0)


class Shadow(Tensor):
    """A tensor on the device, around one in CPU memory."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Shadow":
        tensor = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            requires_grad=False,
            device=torch.device(NAME, 0),
        )
        tensor.inner = inner
        return tensor

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"shadow({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do on the CPU what is asked for, unless it mixes devices."""
        kwargs, name = dict(kwargs or {}), func._schema.name
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        held = [x for x in tensors if isinstance(x, Shadow)]
        if held and name not in _MAY_MIX:
            _refuse_mixed(name, args, tensors)
        target = kwargs.get("device")
        stays = bool(held) if target is None else torch.device(target).type == NAME
        if target is not None and stays:
            kwargs["device"] = torch.device("cpu")
        done = func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
        if name == "aten::copy_":
            return args[0]
        known = {id(x.inner): x for x in held}  # what was changed in place is who it was

        def wrapped(x: Any) -> Any:
            if not stays or not isinstance(x, Tensor):
                return x
            return known[id(x)] if id(x) in known else Shadow(x)

        return tree_map(wrapped, done)


def _plain(x: Any) -> Any:
    return x.inner if isinstance(x, Shadow) else x


def _refuse_mixed(name: str, args: Any, tensors: list[Tensor]) -> None:
    indexed = name.startswith(("aten::index", "aten::_index_put")) and isinstance(args[0], Shadow)
    if not indexed and any(x.dim() > 0 for x in tensors if not isinstance(x, Shadow)):
        raise RuntimeError(
            f"{name}: expected all tensors to be on the same device, but found at least two "
            f"devices, {NAME}:0 and cpu"
        )


def _keeping_ties(apply: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """`Module._apply` makes new parameters for a device such as this one, and would untie them."""

    def applied(module: nn.Module, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        homes: dict[nn.Parameter, list[tuple[nn.Module, str]]] = {}
        for part in module.modules() if recurse else [module]:
            for name, parameter in part._parameters.items():
                if parameter is not None:
                    homes.setdefault(parameter, []).append((part, name))
        done = apply(module, fn, recurse)
        for parameter, places in homes.items():
            first, name = places[0]
            moved = first._parameters[name]
            if moved is not parameter:
                moved.__dict__.update({**parameter.__dict__, **moved.__dict__})
                for part, other in places:
                    part._parameters[other] = moved
        return done

    return applied


def _kernels() -> list[torch.library.Library]:
    """What torch asks of a device before a tensor of it is there."""

    def empty(size, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
        order = memory_format or torch.contiguous_format
        return Shadow(torch.empty(size, dtype=dtype, memory_format=order))

    def empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
        return Shadow(torch.empty_strided(size, stride, dtype=dtype))

    def copy_from(source, target, non_blocking=False):
        _plain(target).copy_(_plain(source))
        return target

    aten = torch.library.Library("aten", "IMPL")
    aten.impl("empty.memory_format", empty, "PrivateUse1")
    aten.impl("empty_strided", empty_strided, "PrivateUse1")
    aten.impl("_copy_from", copy_from, "PrivateUse1")
    rest = torch.library.Library("_", "IMPL")
    rest.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    return [aten, rest]


class _Backend:
    """What `torch.shadow` answers; its generator is the CPU's."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def is_bf16_supported(self) -> bool:
        return True

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def set_device(self, index: int) -> None:
        pass

    def synchronize(self, device: Any = None) -> None:
        pass

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        torch.set_rng_state(state)


def _hidden(current: Callable[..., torch.device | None]) -> Callable[..., torch.device | None]:
    """`torch.accelerator.current_accelerator`, which finds what a machine has and not this."""

    def found(check_available: bool = False) -> torch.device | None:
        device = current(check_available)
        return None if device is not None and device.type == NAME else device

    return found


if _register is not None:
    _register(NAME, backend_module=_Backend())
    _libraries.extend(_kernels())
    torch.accelerator.current_accelerator = _hidden(torch.accelerator.current_accelerator)
    nn.Module._apply = _keeping_ties(nn.Module._apply)
