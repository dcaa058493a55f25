"""Packing as a step: the model that learnt to round is stored in as few bits as it rounds to.

The checkpoint loads with `AutoModel….from_pretrained` after `import leanformer`. The step proves
that the file has its arithmetic size, and that what is loaded are the same weights. Few bits
are a gain in size; products run as fast as the runtime's, which are int8 at best (`int8`).
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leanformer.core.step import Proof, Step, require
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import encode_examples
from leanformer.models.quiet import quiet
from leanformer.models.save import save_model
from leanformer.numerics.blocks import Quantized
from leanformer.quantize.packed import arithmetic_bytes, codes_of_layers, hold, rounded_state
from leanformer.train.evaluate import outputs

_SLACK = 1.02  # what a file may hold beyond its arithmetic size
_NOISE = 1e-5  # of fp32 products whose factors lie elsewhere in memory
_CHECKED = 16  # texts that are compared; a language model's logits of more would fill the memory


@technique("pack", paper="Zhang et al. 2020, arXiv:2009.12812")
class Pack(Step):
    """Store the codes that the model was trained to round to: the smallest file."""

    max_length: int = 128
    """Longer texts are cut to this many tokens where the loaded model is compared."""

    def apply(self, workspace: Workspace) -> Workspace:
        """Write the packed checkpoint; the workspace goes on with what is loaded from it.

        Raises:
            ValueError: No layer of the model rounds its weight.
            NoEffect: The file is larger than its codes, scales and floats, or what is loaded is
                not what was packed.
        """
        return written(workspace, codes_of_layers(workspace.model), self.max_length)


def written(
    workspace: Workspace, codes: Mapping[str, Quantized], max_length: int = 128
) -> Workspace:
    """The workspace with its packed checkpoint written, and what is loaded from it as its model.

    Args:
        workspace: Its model multiplies with the weights that `codes` stand for.
        codes: Of each layer that is packed, by name.
        max_length: Longer texts are cut to this many tokens where outputs are compared.

    Raises:
        NoEffect: The file is larger than its codes, scales and floats, or what is loaded is not
            what was packed.
    """
    dataset, kind = workspace.dataset, workspace.dataset.task.kind
    some = dataset.dev.take(list(range(min(_CHECKED, len(dataset.dev)))))
    encoded = encode_examples(some, workspace.tokenizer, kind, max_length)
    before = outputs(workspace.model, encoded, kind, precision="fp32")
    state = rounded_state(workspace.model, codes)
    latent = sum(parameter.numel() for parameter in workspace.model.parameters()) * 4
    asked = arithmetic_bytes(workspace.model, codes)
    hold(workspace.model, codes)
    saved = workspace.folder / "model"
    save_model(workspace.model, workspace.tokenizer, saved, overwrite=True)
    model = _loaded(type(workspace.model), saved)
    after = outputs(model, encoded, kind, precision="fp32")
    proofs = [stored(saved, asked, latent), unchanged(state, model), _says(before, after)]
    require(proofs)
    return workspace.with_(model=model, saved=saved, proofs=tuple(proofs))


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


def _says(before: list[NDArray[np.float32]], after: list[NDArray[np.float32]]) -> Proof:
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


def _loaded(kind: type[Any], folder: Path) -> Any:
    with quiet():
        return kind.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
