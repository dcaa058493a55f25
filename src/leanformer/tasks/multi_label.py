"""Multi-label classification: any number of labels per text, none included.

    p_l = sigmoid(z_l)        label l is answered where p_l >= t_l

The thresholds t are tuned on dev, label by label, for the best F1 of each; they are served with the
model. Judged on the examples that it is tuned on, a system would look better than it is, so where
no thresholds are given each half of the examples is answered with those that suit the other half.

Labels are written in one of three ways:

    a list      {"text": "…", "labels": ["anger", "fear"]}     [] = none of them
    a cell      anger|fear                                     an empty cell = none of them
    columns     anger fear joy, each 0 or 1                    named as their columns are

Legend: N text, L label.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.technique import technique
from leanformer.numerics.metrics import F1OfSets, MacroF1OfSets, Metric, MicroF1
from leanformer.tasks.answers import Prediction, sigmoid
from leanformer.tasks.interface import Asked, Outputs, TaskKind
from leanformer.tasks.labels import (
    LabelForm,
    MissingLabel,
    index_of,
    is_missing,
    ordered_names,
)
from leanformer.tasks.metric import F1_OF
from leanformer.text import Reading

_EVEN = 0.5  # the threshold of a label that nothing was learned about
_BETWEEN = "|"  # labels of one cell
_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "False": False, "True": True}


class LabelSet(LabelForm):
    """A set of names, kept as a list of 0.0 and 1.0, one per label."""

    dtype = "float32"
    several = True

    def read(self, row: Mapping[str, Any], column: str) -> list[str] | dict[str, bool]:
        """Names that the text has; of several columns, whether it has each."""
        if column not in row and "," in column:
            return {name: _flag(row, name) for name in column.split(",")}
        value = row.get(column)
        if is_missing(value):
            raise MissingLabel(
                column,
                "a list of labels ([] = none of them), or move its text to the unlabelled file",
            )
        if isinstance(value, list):
            names = [str(name) for name in value]
        elif isinstance(value, str):
            names = [name.strip() for name in value.split(_BETWEEN)] if value.strip() else []
        else:
            raise ValueError(
                f"{column} is {value!r}; write a list of labels, or text with {_BETWEEN!r} between "
                "them"
            )
        if not all(name.strip() for name in names):
            raise ValueError(f"{column} has an empty label: {value!r}; remove it")
        numbers = isinstance(value, list) and not any(isinstance(name, str) for name in value)
        if numbers and len(set(names)) < len(names):
            raise ValueError(
                f"{column} has a number twice: {value!r}; flags of each label are not read from a "
                "list: write the names of the labels that the text has, or a column of 0 and 1 each"
            )
        return names

    def names(self, written: Sequence[list[str] | dict[str, bool]], column: str) -> tuple[str, ...]:
        """The labels that occur, sorted; or the columns, in their order."""
        first = written[0]
        names = tuple(first) if isinstance(first, dict) else _occurring(written, column)
        if len(names) < 2:
            raise ValueError(
                f"column {column!r} has {len(names)} labels; multi-label classification needs two "
                "or more, and yes or no to a single one is a classification"
            )
        return names

    def parse(self, written: list[str] | dict[str, bool], names: tuple[str, ...]) -> list[float]:
        """1.0 at each label that the text has."""
        own = [name for name in written if not isinstance(written, dict) or written[name]]
        found = [0.0] * len(names)
        for name in own:
            found[index_of(name, names)] = 1.0
        return found

    def blank(self, width: int) -> list[float]:
        """NaN at each label."""
        return [math.nan] * width

    def renumbered(self, label: Sequence[float], new: Sequence[int], count: int) -> list[float]:
        """Each label at its new place; those that are new are not there."""
        found = [0.0] * count
        for place, value in zip(new, label, strict=True):
            found[place] = value
        return found


@technique("multi-label", paper="")
class MultiLabel(TaskKind):
    """Any number of labels per text or pair of texts, none included: topics, emotions, toxicity."""

    metrics = ("micro-f1", "macro-f1")
    label_metrics = True
    head = "classification"
    problem_type = "multi_label_classification"
    form = LabelSet()
    output = "decisions"
    tunes_thresholds = True

    def metric(self, name: str, names: tuple[str, ...]) -> Metric:
        """Of sets of labels."""
        if name.startswith(F1_OF):
            return F1OfSets(names.index(name.removeprefix(F1_OF)), name)
        made: dict[str, Metric] = {"micro-f1": MicroF1(), "macro-f1": MacroF1OfSets()}
        return made[name]

    def answers(self, outputs: Outputs, asked: Asked) -> NDArray[np.bool_]:
        """[N, L]: True where a label is answered."""
        shares_NL = _shares(outputs)
        if asked.thresholds:
            return shares_NL >= np.array(asked.thresholds)
        gold_NL = self.right(asked)
        found_NL = np.zeros(shares_NL.shape, bool)
        for half in (0, 1):
            tuned = tuned_thresholds(shares_NL[1 - half :: 2], gold_NL[1 - half :: 2])
            found_NL[half::2] = shares_NL[half::2] >= np.array(tuned)
        return found_NL

    def right(self, asked: Asked) -> NDArray[np.bool_]:
        """[N, L]: True where a text has a label."""
        assert asked.labels is not None
        return np.array(asked.labels, dtype=float).reshape(-1, len(asked.names)) > _EVEN

    def thresholds(self, outputs: Outputs, asked: Asked) -> tuple[float, ...]:
        """The probability from which each label is answered, tuned on these examples."""
        return tuned_thresholds(_shares(outputs), self.right(asked))

    def agreement(self, reference: Outputs, other: Outputs) -> float:
        """Mean share of the labels answered by either that both answer; 1 where neither does."""
        ours_NL, theirs_NL = _shares(reference) >= _EVEN, _shares(other) >= _EVEN
        either_N = (ours_NL | theirs_NL).sum(1)
        both_N = (ours_NL & theirs_NL).sum(1)
        return float(np.where(either_N == 0, 1.0, both_N / np.maximum(either_N, 1)).mean())

    def serve(
        self,
        outputs: Outputs,
        names: tuple[str, ...],
        texts: Sequence[str],
        readings: Sequence[Reading],
        thresholds: Sequence[float] = (),
    ) -> list[list[Prediction]]:
        """The labels of each text with their probabilities, the likeliest first."""
        least = thresholds or [_EVEN] * len(names)
        found = []
        for shares_L in map(sigmoid, outputs):
            each = zip(names, shares_L.tolist(), least, strict=True)
            own = [Prediction(name, share) for name, share, bar in each if share >= bar]
            found.append(sorted(own, key=lambda one: -one.score))
        return found

    def plain(self, answer: list[Prediction]) -> dict[str, Any]:
        """The labels with their scores."""
        return {"labels": [{"label": one.label, "score": one.score} for one in answer]}


def tuned_thresholds(
    shares_NL: NDArray[np.float32], gold_NL: NDArray[np.bool_]
) -> tuple[float, ...]:
    """The threshold of each label with the best F1 on these examples.

    Between the probabilities of two examples all thresholds are alike: the middle one is taken. Of
    several with the best F1 it is the nearest to 0.5, which is also that of a label without
    examples.
    """
    return tuple(
        _tuned(shares_NL[:, label].astype(np.float64), gold_NL[:, label])
        for label in range(shares_NL.shape[1])
    )


def _tuned(shares_N: NDArray[np.float64], gold_N: NDArray[np.bool_]) -> float:
    if not gold_N.any():
        return _EVEN
    order = np.argsort(-shares_N, kind="stable")
    sorted_N, right_N = shares_N[order], np.cumsum(gold_N[order])
    answered_N = np.arange(1, len(order) + 1)
    f1_N = 2 * right_N / (answered_N + gold_N.sum())
    below_N = np.append(sorted_N[1:], 0.0)
    cut = sorted_N > below_N  # examples with one probability are answered together
    cut[-1] = True
    middles, values = (sorted_N[cut] + below_N[cut]) / 2, f1_N[cut]
    best = middles[values >= values.max()]
    return float(best[np.abs(best - _EVEN).argmin()])


def _shares(outputs: Outputs) -> NDArray[np.float32]:
    """Probabilities, [N, L]."""
    return sigmoid(np.stack(list(outputs)))


def _flag(row: Mapping[str, Any], name: str) -> bool:
    value = str(row.get(name, "")).strip()
    if value not in _FLAGS:
        raise ValueError(
            f"{name} is {row.get(name)!r}, and a column of a label holds 0 or 1; name the columns "
            "of labels: --label anger,fear"
        )
    return _FLAGS[value]


def _occurring(written: Sequence[Any], column: str) -> tuple[str, ...]:
    """The names in the training rows, sorted.

    Raises:
        ValueError: They look like several names with commas between them.
    """
    counts = Counter(name for names in written for name in names)
    if all(len(names) < 2 for names in written) and any("," in name for name in counts):
        example = next(name for name in counts if "," in name)
        raise ValueError(
            f"column {column!r} has {example!r} as one label; write {_BETWEEN!r} between the "
            "labels of a text, or JSON lists where names have commas"
        )
    return ordered_names(counts, column)
