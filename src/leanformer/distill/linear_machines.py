"""Linear models of sparse features by scikit-learn, and the temperature that calibrates them.

    classes     support vector machines, one against the rest
    decisions   the same machines, one per label
    numbers     ridge regression

The scores of such machines rank classes well, but are not probabilities. One temperature is fitted
to texts that the machines did not see:

    T = argmin_T Σ_n -log p(label_n | scores_n / T)

with softmax for classes and the sigmoid for decisions. No answer changes by it.

Legend: N text, F feature, C class.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leanformer.tasks.answers import softmax

Goal = Literal["classes", "decisions", "numbers"]
ABSENT = -1e4
"""The logit of a class that training lacks: finite, and its probability is 0."""

_TOLERANCE = 1e-2  # a tighter one costs twice the time and no answer is better for it
_RIDGE = 1.0
_HELD = 0.2  # share of the texts that the temperature is fitted on
_MOST_HELD, _FEWEST_HELD = 2000, 50
_MOST_REST = 10_000  # texts that its machines are fitted to
_TEMPERATURES = np.geomspace(0.02, 5, 120)
_TYPICAL = 0.2  # the temperature where there are too few texts to fit one


@dataclass(frozen=True)
class Linear:
    """Weights [F, C] and offsets [C]."""

    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]

    def scores(self, x: Any) -> NDArray[np.float64]:
        """[N, C]."""
        return np.asarray(x @ self.weights) + self.offsets


def fit_linear(x: Any, y: NDArray[Any], goal: Goal, classes: int) -> Linear:
    """Fit a linear model.

    Args:
        x: Features, sparse [N, F].
        y: Labels [N] for classes, [N, C] of 0 and 1 for decisions, [N] for numbers.
        goal: What the scores are.
        classes: How many columns there are.

    Raises:
        ValueError: All texts have one class.
    """
    if goal == "numbers":
        from sklearn.linear_model import Ridge

        ridge = Ridge(alpha=_RIDGE, solver="lsqr").fit(x, y)
        return Linear(ridge.coef_.reshape(-1, 1), np.reshape(ridge.intercept_, 1))
    if goal == "decisions":
        both = [_machine(x, y[:, label]) for label in range(classes)]
        return Linear(np.stack([w for w, _ in both], 1), np.array([b for _, b in both]))
    known = np.unique(y)
    if len(known) < 2:
        raise ValueError("all texts have the same label; a classifier needs two or more")
    machines = _machines(x, y)
    own_FC, own_C = machines.coef_.T, machines.intercept_
    if len(known) == 2:  # one machine tells two classes apart
        own_FC, own_C = np.hstack([-own_FC, own_FC]), np.concatenate([-own_C, own_C])
    weights, offsets = np.zeros((x.shape[1], classes)), np.full(classes, ABSENT)
    weights[:, known], offsets[known] = own_FC, own_C
    return Linear(weights, offsets)


def _machines(x: Any, y: NDArray[Any]) -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(tol=_TOLERANCE, random_state=0).fit(x, y)


def _machine(x: Any, y: NDArray[Any]) -> tuple[NDArray[np.float64], float]:
    """One support vector machine; an answer that is always the same needs no weights."""
    y = np.asarray(y) > 0
    if y.all() or not y.any():
        return np.zeros(x.shape[1]), 1.0 if y.all() else -1.0
    machine = _machines(x, y)
    return machine.coef_[0], float(machine.intercept_[0])


def fit_temperature(x: Any, y: NDArray[Any], goal: Goal, classes: int) -> float:
    """The temperature of texts held out of the training of other machines; 1 for numbers."""
    if goal == "numbers":
        return 1.0
    order = np.random.default_rng(0).permutation(len(y))
    held = order[: min(_MOST_HELD, round(_HELD * len(y)))]
    rest = order[len(held) :][:_MOST_REST]
    if len(held) < _FEWEST_HELD or len(np.unique(y[rest], axis=0)) < 2:
        return _TYPICAL
    machines = fit_linear(x[rest], y[rest], goal, classes)
    return temperature(machines.scores(_as_unseen(x[held], x[rest])), y[held], goal)


def _as_unseen(x: Any, others: Any) -> Any:
    """Rows without the features that `others` lack, of length one again, as served texts are."""
    from sklearn.preprocessing import normalize

    return normalize(x.multiply(others.getnnz(0) > 0).tocsr())


def temperature(scores_NC: NDArray[np.float64], y: NDArray[Any], goal: Goal) -> float:
    """The temperature with the least mean negative log likelihood of `y`."""

    def loss(by: float) -> float:
        logits = scores_NC / by
        if goal == "decisions":
            return float(np.logaddexp(0, np.where(y > 0, -logits, logits)).mean())
        shares = softmax(logits.astype(np.float32))[np.arange(len(y)), y]
        return float(-np.log(np.maximum(shares, 1e-9)).mean())

    return float(min(_TEMPERATURES, key=loss))
