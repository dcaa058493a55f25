"""A student without attention: a linear model of hashed n-grams, taught by labels and teacher.

It is fitted in seconds by a solver, not by the training loop: texts without labels are labelled by
the teacher's answers to them and join the examples. Weights are rounded to eight bits:

    W_RC = round(127 u_R w_RC / s_C)    scale_C = s_C / (127 T)    b_C = offset_C / T

where w are the weights of linear machines on unit features, u the integer idf of a bucket, T the
temperature (`linear_machines`), and s_C the clipping bound of a class, chosen among shares of its
largest weight by the squared error of all weights, each as often as it occurs.

Legend: R bucket, C label.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.data import Examples, Task
from leanformer.distill.linear_machines import ABSENT, Goal, fit_linear, fit_temperature
from leanformer.distill.ngram_features import Design, design
from leanformer.runtime.hashed_ngrams.kernel import MOST_ROWS
from leanformer.runtime.hashed_ngrams.reading import Read, read_texts, read_words
from leanformer.runtime.hashed_ngrams.reference import LEVELS
from leanformer.runtime.manifest import Manifest
from leanformer.runtime.systems.hashed_ngrams import HashedNgrams
from leanformer.tasks import IGNORE, TaskKind, served_kind
from leanformer.tasks.answers import sigmoid

_MOST_WEIGHTS = 2**27  # bytes of the model; of more n-grams the commonest are kept
_SHARES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2)  # of the largest weight: where rounding may clip
_STEEP = 4.0  # the slope of the logit at 0.5, by which a grade becomes one


def fit_ngrams(
    examples: Examples,
    task: Task,
    *,
    unlabelled: Examples | None = None,
    answers: Sequence[NDArray[np.float32]] | None = None,
) -> HashedNgrams:
    """Fit an n-gram student.

    Args:
        examples: The training examples with their labels.
        task: Kind and labels, and of several labels per text the thresholds of the teacher.
        unlabelled: Texts without labels.
        answers: The teacher's raw outputs to them, as `System.answer` gives them: logits, numbers,
            or for words logits [word, label] (words that it did not read are left out).

    Returns:
        The student. A label that no text has is never answered: its logit is -10,000.

    Raises:
        ValueError: The task makes vectors, there is one class only, there are no words, or texts
            without labels come without answers.
    """
    about = task.about
    if about.output == "vector" or about.form is None:
        raise ValueError(f"kind {task.kind!r} has no labels that an n-gram model could answer")
    if (unlabelled is None) != (answers is None):
        raise ValueError(
            "unlabelled: texts without labels need the teacher's answers, and only they"
        )
    goal: Goal = "numbers" if about.grouped or about.output == "numbers" else about.output
    y = _targets(examples.labels, about)
    read = _read(examples, about)
    if unlabelled is not None and answers is not None:
        taught = _taught(answers, task)
        if len(answers) != len(unlabelled):
            raise ValueError(f"answers: {len(answers)} for {len(unlabelled)} texts")
        read, y = _both(examples, unlabelled, about), np.concatenate([y, taught])
    known = np.isfinite(y).reshape(len(y), -1).all(1) & (y != IGNORE).reshape(len(y), -1).all(1)
    made = design(read, max(1, min(MOST_ROWS, _MOST_WEIGHTS // task.outputs)))
    numbers = _fitted(made, y, known, goal, task.outputs, about.grouped)
    manifest = Manifest(
        kind=served_kind(task.kind), labels=tuple(task.labels), pairs=examples.pairs is not None
    )
    return HashedNgrams(numbers, made.bits, manifest)


def _read(examples: Examples, about: TaskKind) -> Read:
    if about.reads_words:
        assert examples.words is not None
        return read_words(examples.words)
    return read_texts(examples.texts, examples.pairs)


def _both(examples: Examples, others: Examples, about: TaskKind) -> Read:
    """Labelled texts, then the others."""
    if about.reads_words:
        assert examples.words is not None
        assert others.words is not None
        return read_words([*examples.words, *others.words])
    if (examples.pairs is None) != (others.pairs is None):
        raise ValueError("unlabelled: pairs are needed where the task has pairs, and only there")
    pairs = None if examples.pairs is None else [*examples.pairs, *(others.pairs or ())]
    return read_texts([*examples.texts, *others.texts], pairs)


def _targets(labels: Any, about: TaskKind) -> NDArray[Any]:
    """Labels [N], or [N, C] for several per text; one per word where words are labelled."""
    if labels is None:
        raise ValueError("examples: an n-gram model is fitted to labels, and there are none")
    if about.reads_words:
        return np.array([tag for sentence in labels for tag in sentence], np.int64)
    return np.array(labels, np.int64 if about.output == "classes" else np.float64)


def _taught(answers: Sequence[NDArray[np.float32]], task: Task) -> NDArray[Any]:
    """What the teacher answered, in the form of labels."""
    about = task.about
    if about.reads_words:
        tags: list[Any] = [
            np.where(np.isfinite(row).any(-1), row.argmax(-1), IGNORE) if len(row) else []
            for row in answers
        ]
        return np.concatenate([np.zeros(0), *tags]).astype(np.int64)
    rows = np.stack(list(answers)) if len(answers) else np.zeros((0, task.outputs), np.float32)
    if about.output == "classes":
        return rows.argmax(1)
    if about.grouped:
        return sigmoid(rows)[:, 0].astype(np.float64)
    if about.output == "decisions":
        least = task.thresholds or [0.5] * task.outputs
        return (sigmoid(rows) >= np.array(least)).astype(np.float64)
    return rows[:, 0].astype(np.float64)


def _fitted(
    made: Design, y: NDArray[Any], known: NDArray[np.bool_], goal: Goal, labels: int, grouped: bool
) -> dict[str, NDArray[Any]]:
    """The numbers of the system."""
    from scipy import sparse

    x = made.x if made.levels is None else sparse.hstack([made.x, made.levels]).tocsr()
    x, y = x[known], y[known]
    found = fit_linear(x, y, goal, labels)
    by = fit_temperature(x, y, goal, labels)
    offsets = found.offsets
    if grouped:
        by, offsets = 1 / _STEEP, offsets - 0.5
    columns = len(made.buckets)
    frequency = np.bincount(made.x.indices, minlength=columns)
    weights, scale = round_weights(found.weights[:columns] * made.idf[:, None], frequency)
    numbers: dict[str, NDArray[Any]] = {
        "buckets": made.buckets,
        "idf": made.idf,
        "weights": weights,
        "scale": scale / by,
        "b": np.where(offsets == ABSENT, ABSENT, offsets / by),
    }
    if made.levels is not None:
        numbers["levels"] = found.weights[columns:].reshape(2, LEVELS, labels) / by
    return numbers


def round_weights(
    weights_RC: NDArray[np.float64], frequency_R: NDArray[np.int64]
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Weights in eight bits, and the scale of each column.

    Args:
        weights_RC: Weights.
        frequency_R: How often each row is used, for the choice of the clipping bound.

    Returns:
        Integers from -127 to 127 [R, C] and scales [C]: their product is near the weights.
    """
    codes = np.zeros(weights_RC.shape, np.int8)
    scales = np.ones(weights_RC.shape[1])
    for label, column in enumerate(weights_RC.T):
        most = float(np.abs(column).max(initial=0))
        if most == 0:
            continue
        best = math.inf
        for share in _SHARES:
            scale = share * most / 127
            rounded = np.clip(np.rint(column / scale), -127, 127)
            error = float((frequency_R * (rounded * scale - column) ** 2).sum())
            if error < best:
                best, codes[:, label], scales[label] = error, rounded, scale
    return codes, scales
