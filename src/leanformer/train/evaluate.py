"""Predictions and quality of a PyTorch model on examples, in any kind of task."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leanformer.core.machine.device import device_of
from leanformer.data import Encoded, Task, by_length
from leanformer.models.embedding import text_vectors
from leanformer.numerics.metrics import Statistics
from leanformer.numerics.next_tokens import next_log_likelihoods
from leanformer.tasks import IGNORE, Asked, kind_named
from leanformer.train.precision import Precision

_LOGITS = 2**27  # numbers of a batch: half a gigabyte in fp32


def head_output(model: Any, inputs: dict[str, Tensor], kind: str) -> Tensor:
    """What the task reads: logits [B, C] or [B, T, C]; for embedding the pooled vector [B, D]."""
    output = model(**inputs)
    if kind_named(kind).output == "vector":
        return text_vectors(model, output.last_hidden_state, inputs["attention_mask"])
    return output.logits


@torch.no_grad()
def outputs(
    model: nn.Module, encoded: Encoded, kind: str, precision: str = "bf16", batch_size: int = 64
) -> list[NDArray[np.float32]]:
    """The head's output of every example, in their order; [C], [T, C] or [D] each.

    Where the next token is predicted it is the log likelihood of each, [T], inf at the last: logits
    [T, V] of all texts would not fit into memory.
    """
    model.eval()
    found: list[Any] = [None] * len(encoded)
    about, device = kind_named(kind), device_of(model)
    cast = Precision(precision, device.type)
    if about.predicts_next:
        batch_size = _rows(model, encoded, batch_size)
    for indices in by_length(encoded, batch_size):
        batch = encoded.batch(indices).to(device)
        with cast.autocast():
            answer = head_output(model, batch.inputs, kind)
        if about.predicts_next:
            answer = next_log_likelihoods(answer, *_read(batch.inputs))
        result = answer.float().cpu().numpy()
        for index, row in zip(indices, result, strict=True):
            found[index] = row[: encoded.length(index)] if about.per_token else row
    return found


def _rows(model: Any, encoded: Encoded, most: int) -> int:
    """Texts of a batch whose logits of the whole vocabulary fit into memory."""
    longest = max(map(encoded.length, range(len(encoded))), default=1)
    return max(1, min(most, _LOGITS // (longest * model.config.vocab_size)))


def _read(inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return inputs["input_ids"], inputs["attention_mask"]


def quality(
    found: list[NDArray[np.float32]],
    encoded: Encoded,
    task: Task,
    targets: NDArray[np.float32] | None = None,
) -> float:
    """The task's metric of `found`, the outputs for `encoded`.

    Args:
        found: What `outputs` gave, or a runtime's outputs of the same form.
        encoded: The examples with their labels.
        task: Kind, labels and metric.
        targets: For embedding, the teacher's vectors [N, D].
    """
    return task.scorer().score(*answers(found, encoded, task, targets))


def statistics(
    found: list[NDArray[np.float32]],
    encoded: Encoded,
    task: Task,
    targets: NDArray[np.float32] | None = None,
) -> Statistics:
    """The statistics of each example for the task's metric, [N, K]; arguments as for `quality`.

    Two systems' statistics of the same examples are what a promise is judged by
    (`measure.promise`).
    """
    return task.scorer().statistics(*answers(found, encoded, task, targets))


def answers(
    found: list[NDArray[np.float32]],
    encoded: Encoded,
    task: Task,
    targets: NDArray[np.float32] | None = None,
) -> tuple[Any, Any]:
    """Predicted and right answers, in the form that the task's metric takes.

    Arguments are as for `quality`.

    Returns:
        Label indices, numbers, lists of tag names, or vectors [N, D]; and the same for gold.
    """
    asked = asked_of(encoded, task, targets)
    return task.about.answers(found, asked), task.about.right(asked)


def asked_of(encoded: Encoded, task: Task, targets: NDArray[np.float32] | None = None) -> Asked:
    """What is known of the examples that are judged."""
    labels, firsts = encoded.labels, None
    if encoded.words is not None:
        labels = [words.labels for words in encoded.words]
        firsts = [words.firsts for words in encoded.words]
    return Asked(
        names=task.labels,
        labels=labels,
        firsts=firsts,
        vectors=targets,
        groups=encoded.groups,
        thresholds=task.thresholds,
    )


@torch.no_grad()
def masked_accuracy(
    model: Any, encoded: Encoded, precision: str = "bf16", batch_size: int = 64
) -> float:
    """Share of the labelled tokens of `encoded` that a masked language model finds."""
    model.eval()
    device = device_of(model)
    cast = Precision(precision, device.type)
    right = asked = 0
    for indices in by_length(encoded, batch_size):
        batch = encoded.batch(indices).to(device)
        assert batch.labels is not None, "the tokens to find are the labels"
        with cast.autocast():
            found = model(**batch.inputs).logits.argmax(-1)
        hidden = batch.labels != IGNORE
        right += int((found == batch.labels)[hidden].sum())
        asked += int(hidden.sum())
    return right / max(1, asked)


def make_evaluator(
    encoded: Encoded,
    task: Task,
    targets: NDArray[np.float32] | None = None,
    precision: str = "bf16",
) -> Callable[[nn.Module], float]:
    """The function `model -> quality on encoded` that the loop evaluates with."""
    if task.about.hides_words:  # [T, V] logits of all texts would not fit into memory
        return lambda model: masked_accuracy(model, encoded, precision)
    return lambda model: quality(
        outputs(model, encoded, task.kind, precision), encoded, task, targets
    )
