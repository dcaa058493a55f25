"""What tells one training from another whose checkpoint would fit: by content, not by path.

    data      token ids and labels of every example
    weights   what model and loss begin with
    loss      its settings; of a distillation also the teacher
    setup     hyperparameters, seed, which weights are kept, the version of this table

What is large stands there as a digest (BLAKE2b). A checkpoint holds the table, and a training that
differs is refused with the names of what differs.
"""

import hashlib
import json
import marshal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.core import codec
from leanformer.data import Encoded
from leanformer.models.tied import weights
from leanformer.train.loss import Loss
from leanformer.train.setup import TrainSetup

FORMAT = 2
"""The version of the table and of what a checkpoint holds."""
_DIGEST = "blake2b:"  # how a digest begins, so that it is known as one
_CHUNK = 1000  # examples that are hashed at once
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
    model: nn.Module, encoded: Encoded, loss: Loss, setup: TrainSetup, **settings: Any
) -> dict[str, Any]:
    """The identity of a training that has not begun, as JSON has it.

    Args:
        model: With its initial weights.
        encoded: The training examples.
        loss: What is minimized, with its initial weights.
        setup: Hyperparameters; how often a checkpoint is written is left out.
        settings: What else decides the result, e.g. the seed: JSON values.
    """
    table = {
        "format": FORMAT,
        "data": {
            "examples": len(encoded),
            "token_ids": digest(_chunks(encoded.rows), encoded.padding, encoded.kind),
            "labels": digest([] if encoded.labels is None else _chunks(encoded.labels)),
        },
        "weights": {"model": weights_digest(model), "loss": weights_digest(loss)},
        "loss": {"use": type(loss).__name__, **loss.identity()},
        "setup": codec.encode(replace(setup, checkpoint_seconds=0.0)),
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
            known = all(value is None or str(value).startswith(_DIGEST) for value in (was, now))
            values = "" if known else f" ({was} → {now})"
            found.append(_WORDS.get(place, place) + values)
    return found


def digest(*parts: Any) -> str:
    """A digest of numbers, texts, lists, tables and arrays; an iterator is passed through in parts.

    Values count with their types: 1, 1.0 and True differ.
    """
    seen = hashlib.blake2b(digest_size=32)
    for part in parts:
        for piece in part if isinstance(part, Iterator) else (part,):
            seen.update(marshal.dumps(piece, 2))  # 2: no references, so equal values, equal bytes
    return _DIGEST + seen.hexdigest()


def weights_digest(module: nn.Module) -> str:
    """A digest of the names, types, shapes and values of all parameters and buffers."""
    return digest(_described(weights(module).items()))


def _described(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[Any]:
    for name, tensor in tensors:
        yield (name, str(tensor.dtype), tuple(tensor.shape))
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        yield plain.view(torch.uint8).numpy()


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


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
