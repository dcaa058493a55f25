"""What tells one training from another whose checkpoint would fit: by content, not by path.

    data      token ids and labels of every example
    weights   what model and loss begin with
    loss      its settings; of a distillation also the teacher
    setup     hyperparameters, seed, which weights are kept, the version of this table

What is large stands there as a digest (`train.digest`). A checkpoint holds the table, and a
training that differs is refused with the names of what differs.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from leanformer.core import codec
from leanformer.train.batches import Batches
from leanformer.train.digest import PREFIX, weights_digest
from leanformer.train.loss import Loss
from leanformer.train.setup import TrainSetup

FORMAT = 3
"""The version of the table and of what a checkpoint holds."""
_MOST = 5  # differences that an error names
_WORDS = {
    "format": "the version of the checkpoint",
    "data.token_ids": "the texts of the training data",
    "data.labels": "the labels of the training data",
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
        setup: Hyperparameters; how often a checkpoint is written, and whether the model is
            compiled, is left out.
        settings: What else decides the result, e.g. the seed: JSON values.
    """
    table = {
        "format": FORMAT,
        "data": batches.identity(),
        "weights": {"model": weights_digest(model), "loss": weights_digest(loss)},
        "loss": {"use": type(loss).__name__, **loss.identity()},
        "setup": codec.encode(replace(setup, checkpoint_seconds=0.0, compile=False)),
        **settings,
    }
    identity: dict[str, Any] = json.loads(json.dumps(table))  # tuples are lists there
    return identity


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
        found = differences(held, ours)
        more = [f"{len(found) - _MOST} more"] if len(found) > _MOST else []
        raise ValueError(
            f"{folder}: the checkpoint is of another training, which differs in "
            f"{', '.join(found[:_MOST] + more)}; remove the folder to begin anew, or change that "
            "back to go on"
        )


def differences(held: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """What differs between two identities, in words, e.g. "setup.epochs (3 → 4)"."""
    before, after = dict(_flat(held)), dict(_flat(ours))
    found = []
    for place in dict.fromkeys([*before, *after]):
        was, now = before.get(place), after.get(place)
        if was != now:
            known = all(value is None or str(value).startswith(PREFIX) for value in (was, now))
            values = "" if known else f" ({was} → {now})"
            found.append(_WORDS.get(place, place) + values)
    return found


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested tables and lists, each with the way to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flat(item, f"{place}[{index}]")
    else:
        yield place, value
