"""The threshold of a cascade: pass on as few texts as dev proves to be enough.

    rate r      the r N texts of dev with the lowest scores are passed on to the second system
    outputs     second's of those, first's of the rest
    test        is it proven that these outputs keep what was asked?

Rates are a fixed grid, tested from 1 (the second system alone) down to 0 (the first alone), up to
the first that is not proven. Since the order is fixed in advance (scores know no labels), each test
may have the full error: fixed-sequence testing (`measure.fixed_sequence`). The promise is false at
most as often as one test is wrong, whatever the number of rates.

Texts with equal scores are passed on together or not at all. Between two scores all thresholds are
alike on dev; the middle is taken, so that rounding elsewhere does not move a text of dev.

Legend: N text.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from leanformer.measure.promise import Promise

Outputs = list[NDArray[np.float32]]
RATES = (
    *(1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.17, 0.14, 0.12, 0.1),
    *(0.085, 0.07, 0.06, 0.05, 0.04, 0.03, 0.025, 0.02, 0.015, 0.01, 0.005, 0.0),
)
"""Shares of texts that are passed on, in the order of the tests."""


@dataclass(frozen=True, kw_only=True)
class Deferral:
    """A share of dev that is passed on, and what that keeps.

    Attributes:
        asked: The rate of the grid.
        deferred: Number of dev texts that are passed on; more than asked where scores are equal.
        texts: Number of dev texts.
        threshold: Texts with a lower score are passed on; inf passes on all, -inf none.
        promise: What dev says of the outputs.
    """

    asked: float
    deferred: int
    texts: int
    threshold: float
    promise: Promise

    @property
    def rate(self) -> float:
        """The share of dev that is passed on."""
        return self.deferred / self.texts


@dataclass(frozen=True, kw_only=True)
class Gated:
    """What dev says of each rate.

    Attributes:
        proven: The least rate that is proven, in the order of the tests; None where not even
            passing on every text is.
        holds: The least rate whose estimate holds, in an unbroken run from 1 down; None where the
            estimate of passing on every text does not.
        rows: Every rate that was judged, from 1 down: up to the first that does not hold.
    """

    proven: Deferral | None
    holds: Deferral | None
    rows: tuple[Deferral, ...]

    @property
    def chosen(self) -> Deferral | None:
        """The proven rate; where there is none, the one that holds."""
        return self.proven or self.holds


def choose_threshold(
    scores: Sequence[float] | NDArray[np.float64],
    first: Sequence[NDArray[np.float32]],
    second: Sequence[NDArray[np.float32]],
    judge: Callable[[Outputs], Promise],
    *,
    rates: Sequence[float] = RATES,
) -> Gated:
    """Find how few texts have to be passed on.

    Args:
        scores: How sure the first system is of each dev text (`Gate.scores`), [N].
        first: Its outputs.
        second: The outputs of the second system for the same texts in the same order; for
            multi-label both on one scale (`runtime.gates.shifted`).
        judge: Function from outputs for all of dev to their promise.
        rates: Shares to be tested, falling from the one that is tested first.

    Raises:
        ValueError: There are no texts, or not as many of one list as of the others; a score is NaN;
            rates do not fall, or one is not between 0 and 1.
    """
    scores_N = np.asarray(scores, np.float64)
    _check(scores_N, first, second, rates)
    order = np.argsort(scores_N, kind="stable")
    rows: list[Deferral] = []
    for rate in rates:
        deferred = _with_ties(scores_N[order], math.ceil(round(rate * len(order), 6)))
        if rows and rows[-1].deferred == deferred:
            continue  # ties, or few texts: the same outputs as before
        mixed = list(first)
        for place in order[:deferred]:
            mixed[place] = second[place]
        promise = judge(mixed)
        rows.append(
            Deferral(
                asked=rate,
                deferred=deferred,
                texts=len(order),
                threshold=_threshold(scores_N[order], deferred),
                promise=promise,
            )
        )
        if not (promise.holds or promise.proven):
            break
    return Gated(
        proven=_last(rows, [row.promise.proven for row in rows]),
        holds=_last(rows, [row.promise.holds for row in rows]),
        rows=tuple(rows),
    )


def _last(rows: Sequence[Deferral], passed: Sequence[bool]) -> Deferral | None:
    """The last row of the unbroken run from the first that passed."""
    run = next((place for place, one in enumerate(passed) if not one), len(passed))
    return rows[run - 1] if run else None


def _with_ties(sorted_N: NDArray[np.float64], deferred: int) -> int:
    """`deferred` of the sorted scores, and all that equal the last of them."""
    if deferred == 0:
        return 0
    return int(np.searchsorted(sorted_N, sorted_N[deferred - 1], side="right"))


def _threshold(sorted_N: NDArray[np.float64], deferred: int) -> float:
    """A number above the first `deferred` scores, and not above the next."""
    if deferred == 0:
        return -math.inf
    if deferred == len(sorted_N):
        return math.inf
    below, above = float(sorted_N[deferred - 1]), float(sorted_N[deferred])
    middle = below / 2 + above / 2
    if math.isinf(middle):  # texts without a choice are sure without end
        return math.nextafter(below, math.inf)
    return middle if below < middle <= above else above


def _check(
    scores_N: NDArray[np.float64],
    first: Sequence[NDArray[np.float32]],
    second: Sequence[NDArray[np.float32]],
    rates: Sequence[float],
) -> None:
    counts = len(scores_N), len(first), len(second)
    if len(set(counts)) > 1 or not counts[0]:
        raise ValueError(
            f"scores, first, second: {', '.join(map(str, counts))} texts; give the same dev texts "
            "of each, at least one"
        )
    if np.isnan(scores_N).any():
        place = int(np.isnan(scores_N).argmax())
        raise ValueError(f"scores[{place}] is NaN: the first system's output is not finite")
    falls = all(above > below for above, below in pairwise(rates))
    if not rates or not falls or not all(0 <= rate <= 1 for rate in rates):
        raise ValueError(f"rates: {list(rates)} do not fall from at most 1 to at least 0")
