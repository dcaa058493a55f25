"""What tells one training from another whose checkpoint would fit: by content, not by path.

    data      token ids and labels of every example
    weights   what model and loss begin with
    loss      its settings; of a distillation also the teacher
    setup     hyperparameters, seed, which weights are kept, the version of this table

What is large stands there as a digest (`core.identity.digest`). A checkpoint holds the table, and a
training that differs is refused with the names of what differs.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from leanformer.core import codec
from leanformer.core.identity.differences import differences, listed
from leanformer.models.digest import weights_digest
from leanformer.train.batches import Batches
from leanformer.train.loss import Loss
from leanformer.train.parallel import Parallel
from leanformer.train.setup import TrainSetup

FORMAT = 4
"""The version of the table and of what a checkpoint holds."""
_WORDS = {
    "format": "the version of the checkpoint",
    "data.token_ids": "the texts of the training data",
    "data.labels": "the labels of the training data",
    "data.tokenizer": "the tokenizer of the training data",
    "data.examples": "the number of training examples",
    "weights.model": "the model's initial weights",
    "weights.loss": "the initial weights of the objectives",
    "loss.teacher": "the teacher",
    "loss.use": "the loss",
}


def identify(
    model: nn.Module, batches: Batches, loss: Loss, setup: TrainSetup, **settings: Any
) -> dict[str, Any]:
    """The identity of a training that has not begun, as JSON has it.

    Args:
        model: With its initial weights.
        batches: The training examples.
        loss: What is minimized, with its initial weights.
        setup: Hyperparameters; what does not decide the result is left out: how often a checkpoint
            is written, whether the model is compiled, memory savers, and the number of ranks.
        settings: What else decides the result, e.g. the seed: JSON values.
    """
    table = {
        "format": FORMAT,
        "data": batches.identity(),
        "weights": {"model": weights_digest(model), "loss": weights_digest(loss)},
        "loss": {"use": type(loss).__name__, **loss.identity()},
        "setup": deciding(setup),
        **settings,
    }
    identity: dict[str, Any] = json.loads(json.dumps(table))  # tuples are lists there
    return identity


def deciding(setup: TrainSetup) -> dict[str, Any]:
    """The settings that decide what a training ends with, as JSON values."""
    plain = replace(setup, checkpoint_seconds=0.0, compile=False, memory=(), parallel=Parallel())
    table: dict[str, Any] = codec.encode(plain)
    return table


def refuse_other(folder: Path, held: Any, ours: dict[str, Any]) -> None:
    """Refuse the checkpoint in `folder` unless it is of this training.

    Args:
        folder: Where it is.
        held: The identity that it holds; None where it holds none.
        ours: The identity of this training.

    Raises:
        ValueError: They differ; the message names what does.
    """
    if not isinstance(held, dict):
        raise ValueError(
            f"{folder}: the checkpoint does not say which training it is of, so that this one "
            "cannot go on from it; remove the folder to begin anew"
        )
    if held != ours:
        raise ValueError(
            f"{folder}: the checkpoint is of another training, which differs in "
            f"{listed(differences(held, ours, _WORDS))}; remove the folder to begin anew, or "
            "change that back to go on"
        )
