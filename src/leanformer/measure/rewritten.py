"""A checkpoint in another form: the proof that it is as small as it must be, and the same model.

outputs, tensors  →  other form in place  →  file  →  from_pretrained  →  outputs, tensors
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig

from leanformer.core.machine.device import device_of
from leanformer.core.proof import Proof, require
from leanformer.core.workspace import Workspace
from leanformer.measure.sameness import dev_outputs, same_outputs
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model

_SLACK = 1.02  # what a file may hold beyond its arithmetic size


def rewritten(
    workspace: Workspace,
    hold: Callable[[Any], None],
    state: dict[str, Tensor],
    asked: dict[str, int],
    max_length: int,
) -> Workspace:
    """The workspace with its checkpoint in another form, and what is loaded from it as its model.

    Args:
        workspace: Its model multiplies with what the other form stands for.
        hold: Gives a model the other form, in place; `save_pretrained` writes it then.
        state: The tensors that must be loaded.
        asked: Bytes of the file, by kind.
        max_length: Longer texts are cut to this many tokens where outputs are compared.

    Raises:
        NoEffect: The file is larger than asked or not smaller than floats, or what is loaded is
            another model.
    """
    model = workspace.model
    device = device_of(model)
    before = dev_outputs(workspace, model, max_length)
    floats = sum(parameter.numel() for parameter in model.parameters()) * 4
    hold(model)
    saved = workspace.folder / "model"
    save_model(model, workspace.tokenizer, saved, overwrite=True)
    again = loaded(type(model), saved).to(device)
    after = dev_outputs(workspace, again, max_length)
    same = same_outputs(before, after, "packing")
    proofs = [stored(saved, asked, floats), unchanged(state, again), same]
    return workspace.with_(model=again, saved=saved, proofs=tuple(require(proofs)))


def loaded(kind: type[Any], folder: Path) -> Any:
    """The model of a folder in fp32; a class finds a stored form through `AutoConfig` only."""
    with quiet():
        config = AutoConfig.from_pretrained(folder)
        return kind.from_pretrained(
            folder, config=config, dtype=torch.float32, use_safetensors=True
        )


def stored(folder: Path, asked: dict[str, int], before: int) -> Proof:
    """The proof that the weights in `folder` take the bytes in `asked`, and 2 % more at most.

    A safetensors file begins with the names and shapes of its tensors. This header is part of the
    size that is reported; only beside a tiny model it is more than 2 %, and so not held against it.
    """
    files = sorted(folder.glob("*.safetensors"))
    headers = sum(_header(file) for file in files)
    after = sum(file.stat().st_size for file in files)
    total = sum(asked.values())
    parts = ", ".join(f"{count} {kind}" for kind, count in asked.items())
    return Proof(
        claim="weights on disk",
        before=before,
        after=after,
        unit="bytes",
        ok=after - headers <= total * _SLACK and after < before,
        asked=total,
        note=f"{parts}, {headers} header",
    )


def unchanged(state: dict[str, Tensor], model: nn.Module) -> Proof:
    """The proof that `model` holds the tensors of `state`, bit by bit."""
    ours = model.state_dict()
    changed = [
        n for n, t in state.items() if n not in ours or not torch.equal(ours[n].cpu(), t.cpu())
    ]
    return Proof(
        claim="tensors that packing changed",
        before=None,
        after=len(changed) + len(ours.keys() - state.keys()),
        unit="",
        ok=not changed and len(ours) == len(state),
        asked=0,
        note=", ".join(changed[:1]) or f"{len(state)} tensors of the folder loaded again",
    )


def _header(file: Path) -> int:
    with file.open("rb") as stream:
        return 8 + int(struct.unpack("<Q", stream.read(8))[0])
