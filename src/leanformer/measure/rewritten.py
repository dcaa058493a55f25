"""A checkpoint in another form: the proof that it is as small as it must be, and the same model.

outputs, tensors  →  other form in place  →  file  →  from_pretrained  →  outputs, tensors
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leanformer.core.step import Proof, require
from leanformer.core.workspace import Workspace
from leanformer.data import encode_examples
from leanformer.models.quiet import quiet
from leanformer.models.save import save_model
from leanformer.train.evaluate import outputs

_SLACK = 1.02  # what a file may hold beyond its arithmetic size
_NOISE = 1e-5  # of fp32 products whose factors lie elsewhere in memory
_CHECKED = 16  # texts that are compared; a language model's logits of more would fill the memory


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
    model, dev = workspace.model, workspace.dataset.dev
    kind = workspace.dataset.task.kind
    some = dev.take(list(range(min(_CHECKED, len(dev)))))
    encoded = encode_examples(some, workspace.tokenizer, kind, max_length)
    before = outputs(model, encoded, kind, precision="fp32")
    floats = sum(parameter.numel() for parameter in model.parameters()) * 4
    hold(model)
    saved = workspace.folder / "model"
    save_model(model, workspace.tokenizer, saved, overwrite=True)
    again = loaded(type(model), saved)
    after = outputs(again, encoded, kind, precision="fp32")
    proofs = [stored(saved, asked, floats), unchanged(state, again), says(before, after)]
    return workspace.with_(model=again, saved=saved, proofs=tuple(require(proofs)))


def loaded(kind: type[Any], folder: Path) -> Any:
    """The model of a folder in fp32."""
    with quiet():
        return kind.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)


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
    changed = [n for n, t in state.items() if n not in ours or not torch.equal(ours[n], t)]
    return Proof(
        claim="tensors that packing changed",
        before=None,
        after=len(changed) + len(ours.keys() - state.keys()),
        unit="",
        ok=not changed and len(ours) == len(state),
        asked=0,
        note=", ".join(changed[:1]) or f"{len(state)} tensors of the folder loaded again",
    )


def says(before: list[NDArray[np.float32]], after: list[NDArray[np.float32]]) -> Proof:
    """The proof that two models say the same, but for the noise of fp32."""
    worst = max(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True))
    largest = max(float(np.abs(a).max()) for a in before)
    return Proof(
        claim="largest change of an output by packing",
        before=None,
        after=worst,
        unit="",
        ok=worst <= _NOISE * max(1.0, largest),
        note=f"{len(before)} texts in fp32; equal weights elsewhere in memory may round otherwise",
    )


def _header(file: Path) -> int:
    with file.open("rb") as stream:
        return 8 + int(struct.unpack("<Q", stream.read(8))[0])
