"""The proof that a change which must not show does not: outputs before and after, on real texts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.proof import Proof
from leanformer.core.workspace import Workspace
from leanformer.data import encode_examples
from leanformer.train.evaluate import outputs

NOISE = 1e-5  # of fp32 products whose factors lie elsewhere in memory
_CHECKED = 16  # texts that are compared; a language model's logits of more would fill the memory

Outputs = list[NDArray[np.float32]]


def dev_outputs(workspace: Workspace, model: Any, max_length: int) -> Outputs:
    """What `model` says about the first texts of the development split, in fp32."""
    dev, kind = workspace.dataset.dev, workspace.dataset.task.kind
    some = dev.take(list(range(min(_CHECKED, len(dev)))))
    encoded = encode_examples(some, workspace.tokenizer, kind, max_length)
    model.eval()
    return outputs(model, encoded, kind, precision="fp32")


def same_outputs(before: Outputs, after: Outputs, by: str, noise: float = NOISE) -> Proof:
    """The proof that two models say the same.

    Args:
        before: What the first says.
        after: What the second says.
        by: What was done between, for the claim: "packing".
        noise: How much they may differ, relative to the largest output.
    """
    worst = max(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True))
    largest = max(float(np.abs(a).max()) for a in before)
    return Proof(
        claim=f"largest change of an output by {by}",
        before=None,
        after=worst,
        unit="",
        ok=worst <= noise * max(1.0, largest),
        note=f"{len(before)} texts in fp32; equal weights elsewhere in memory may round otherwise",
    )
