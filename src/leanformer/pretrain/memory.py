"""What a step of a pre-training will take of one rank's memory, said before the first one."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from leanformer.core.shown import one_line
from leanformer.data import Batch
from leanformer.train.account import predict_memory
from leanformer.train.execution.transformed import transformed
from leanformer.train.loss import Loss
from leanformer.train.setup import TrainSetup


def foreseen(
    model: Any, loss: Loss, parts: Sequence[Batch], setup: TrainSetup, ranks: int
) -> dict[str, Any]:
    """The predicted account of a step, or why there is none.

    Args:
        model: What is trained.
        loss: What is minimized.
        parts: The microbatches of a step, of all ranks together.
        setup: How to train.
        ranks: Processes that share the training.

    Returns:
        `account`, bytes by what takes them, None where no formula knows; `without`, the reason.
    """
    with torch.random.fork_rng(devices=[]):  # hidden tokens are drawn as if nobody had looked
        shown = transformed(loss, parts)
    largest = max(shown, key=lambda part: part.inputs["input_ids"].numel())
    own = largest.take(list(range(0, len(largest.index), ranks)))
    try:
        return {"account": asdict(predict_memory(model, loss, own, setup, ranks))}
    except Exception as error:  # of code of transformers' too, and nothing was begun
        return {"account": None, "without": one_line(error)}
