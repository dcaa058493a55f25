"""The whole state of a training in one folder of safetensors and JSON, replaced atomically.

A resumed training gives the same losses as one that was never interrupted: besides weights and
moments, the state holds the random generator, the place in the data (its order follows from seed
and epoch) and the best weights so far.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from leanformer.core.files import new_folder

Groups = dict[str, dict[str, Tensor]]


def save(folder: Path, groups: Groups, state: dict[str, Any]) -> None:
    """Write each group of tensors and the plain `state`; the former checkpoint is replaced at
    once."""
    with new_folder(folder, overwrite=True) as temporary:
        for name, tensors in groups.items():
            save_file(
                {key: tensor.detach().contiguous().clone() for key, tensor in tensors.items()},
                temporary / f"{name}.safetensors",
            )
        (temporary / "state.json").write_text(json.dumps(state))


def load(folder: Path) -> tuple[Groups, dict[str, Any]] | None:
    """What `save` wrote, or None where there is no checkpoint.

    Raises:
        ValueError: The folder is there and cannot be read.
    """
    if not (folder / "state.json").is_file():
        return None
    try:
        state = json.loads((folder / "state.json").read_text())
        groups = {path.stem: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
    except Exception as error:
        raise ValueError(
            f"{folder}: broken checkpoint ({error}); remove the folder to begin anew"
        ) from error
    return groups, state


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state by parameter index and name."""
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    entries: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        entries.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": entries})


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, tied ones once."""
    seen: set[int] = set()
    chosen = {}
    for name, tensor in module.state_dict().items():
        if tensor.data_ptr() not in seen or tensor.numel() == 0:
            seen.add(tensor.data_ptr())
            chosen[name] = tensor
    return chosen
