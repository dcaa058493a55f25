"""The whole state of a training in one folder of safetensors and JSON, replaced atomically.

    parts.json             every other file with its size and checksum
    state.json             steps, losses, the identity of the training
    NAME.safetensors       a group of tensors by name: model, loss, optimizer, random, best

A resumed training gives the same losses as one that was never interrupted: besides weights and
moments, the state holds the random generators, the place in the data (its order follows from seed
and epoch) and the best weights so far. Tensors are written from copies in CPU memory, wherever they
are. Damage is found before anything is taken over: each file is compared with its checksum.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from leanformer.core.storage.files import new_folder, recover_folder
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.parts import check_parts, list_parts
from leanformer.models.tied import load_weights, weights

__all__ = [
    "load",
    "load_weights",
    "optimizer_tensors",
    "restore_optimizer",
    "save",
    "weights",
]

Groups = dict[str, dict[str, Tensor]]

_ANEW = "remove the folder to begin anew"


def save(folder: Path, groups: Groups, state: dict[str, Any]) -> None:
    """Write each group of tensors and the plain `state`; the former checkpoint is replaced at
    once."""
    with new_folder(folder, overwrite=True) as temporary:
        for name, tensors in groups.items():
            save_file(
                {key: _copied(tensor) for key, tensor in tensors.items()},
                temporary / f"{name}.safetensors",
            )
        (temporary / "state.json").write_text(json.dumps(state))
        list_parts(temporary)


def load(folder: Path) -> tuple[Groups, dict[str, Any]] | None:
    """What `save` wrote, in CPU memory; None where there is no folder, or nothing in it.

    Raises:
        ValueError: The folder holds something else, or a part of the checkpoint is missing, too
            many, truncated or altered; the message names the file.
        OSError: A file cannot be read.
    """
    state = state_of(folder)
    if state is None:
        return None
    try:
        groups = {path.stem: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
    except SafetensorError as error:  # not ours, though its list of parts agrees
        raise _broken(folder, error) from error
    return groups, state


def state_of(folder: Path, *, check: bool = True) -> dict[str, Any] | None:
    """The plain values of the checkpoint in `folder`; arguments, results and errors are of `load`.

    Args:
        folder: Where it is.
        check: Compare all of its files with their checksums first.
    """
    if check:
        recover_folder(folder)
        if folder.is_file():
            raise ValueError(f"{folder} is a file and not the folder of a checkpoint; remove it")
        if not folder.is_dir() or not any(folder.iterdir()):
            return None
        check_parts(folder, _ANEW)
    try:
        return read_json(folder / "state.json")
    except ValueError as error:
        raise _broken(folder, error) from error


def _broken(folder: Path, error: Exception) -> ValueError:
    return ValueError(f"{folder}: broken checkpoint ({error}); {_ANEW}")


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state by the name of the parameter, then of the entry.

    Parameters are called as the optimizer was told, and by their place where it was not.
    """
    names = _names(optimizer)
    return {
        f"{names[index]}.{name}": torch.as_tensor(value)
        for index, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave.

    Raises:
        ValueError: A state is of no parameter of the optimizer, or is as large as another one.
            Nothing is put back then.
    """
    places = {name: index for index, name in enumerate(_names(optimizer))}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    entries: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        parameter, name = key.rsplit(".", 1)
        if parameter not in places:
            raise ValueError(
                f"optimizer.safetensors holds {name} of {parameter!r}, which is not trained here; "
                f"{_ANEW}"
            )
        asked = parameters[places[parameter]].shape
        if tensor.dim() == len(asked) and tensor.shape != asked:
            raise ValueError(
                f"optimizer.safetensors holds {name} of {parameter!r} in the shape "
                f"{list(tensor.shape)}, and the parameter has {list(asked)}; {_ANEW}"
            )
        entries.setdefault(places[parameter], {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": entries})


def _names(optimizer: torch.optim.Optimizer) -> list[str]:
    """What the parameters are called, in the order of the optimizer's state."""
    names: list[str] = []
    for group in optimizer.param_groups:
        known = group.get("param_names")
        start = len(names)
        names += known or [str(start + place) for place in range(len(group["params"]))]
    return names


def _copied(tensor: Tensor) -> Tensor:
    """Its values in CPU memory of their own, as safetensors writes them."""
    return tensor.detach().to("cpu", copy=True).contiguous()
