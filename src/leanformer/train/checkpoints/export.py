"""A checkpoint of any number of ranks as a plain folder of transformers.

    checkpoint of 8 ranks  +  a model of its shape, and its tokenizer  →  config, tokenizer, weights

A checkpoint holds weights and no configuration, so the model says what they are weights of.
"""

from pathlib import Path
from typing import Any, Literal

from leanformer.models.io.save import save_model
from leanformer.train.checkpoints import checkpoint, sharded


def export_checkpoint(
    checkpoint_folder: Path,
    model: Any,
    tokenizer: Any,
    folder: Path,
    *,
    weights: Literal["best", "last"] = "best",
    overwrite: bool = False,
) -> None:
    """Write the weights of a checkpoint as a model that transformers loads; one process does it.

    Args:
        checkpoint_folder: The checkpoint, of however many ranks.
        model: A transformers model like the one that was trained; it ends with these weights.
        tokenizer: Its tokenizer.
        folder: Where the model goes.
        weights: Those of the best evaluation so far (of the last step where none are kept), or
            those of the last step.
        overwrite: Replace a model that is there.

    Raises:
        ValueError: There is no checkpoint, it is broken, or its weights are not those of `model`.
        OSError: A file cannot be read or written.
    """
    found = sharded.load_whole(checkpoint_folder)
    if found is None:
        raise ValueError(f"{checkpoint_folder}: there is no checkpoint")
    groups, _ = found
    chosen = groups.get("best") if weights == "best" else None
    checkpoint.load_weights(model, chosen or groups["model"], checkpoint_folder)
    save_model(model, tokenizer, folder, overwrite=overwrite)
