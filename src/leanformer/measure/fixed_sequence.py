"""Choose the fastest of several candidates without promising too much: fixed-sequence testing.

Many candidates that are each tested with an error of 10 % make one false promise far more often
than that. Tested in an order that is fixed in advance, and only up to the first that is not proven,
each may have the full 10 % (Maurer, Hothorn and Lehmacher 1995): a false promise needs the first
candidate of the order that truly keeps too little to be proven, and that happens once in ten times.

    slowest  proven -> proven -> not proven | the rest is not tested      fastest
                        ^ chosen

The order is by cost, which does not depend on quality on dev. A slow candidate usually keeps more
than a fast one, so little is lost by stopping.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from leanformer.measure.promise import Promise


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One system that may be chosen.

    Attributes:
        name: How the record calls it.
        cost: What one text costs, e.g. its seconds: more is slower.
        promise: Its promise on dev; all candidates have the same `keep` and `confidence`.
    """

    name: str
    cost: float
    promise: Promise


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is chosen, and what is known of the others.

    Attributes:
        chosen: Name of the candidate; None where no estimate holds.
        proven: Whether the promise about it is proven.
        promise: The promise about it.
        sequence: All names in the order of the tests, slowest first.
        certified: Names that were tested and proven, slowest first.
        stopped_at: The name that was tested last and not proven; None where all are proven.
        unproven: Names of those that are faster than the chosen one and whose estimate holds,
            although they are not proven or were not tested; fastest first.
    """

    chosen: str | None
    proven: bool
    promise: Promise | None
    sequence: tuple[str, ...]
    certified: tuple[str, ...]
    stopped_at: str | None
    unproven: tuple[str, ...]


def choose_fastest(candidates: Sequence[Candidate]) -> Choice:
    """The fastest candidate that is proven; where none is, the fastest whose estimate holds.

    Raises:
        ValueError: Two candidates have the same name, or their promises differ in `keep` or
            `confidence`.
    """
    _check(candidates)
    ordered = sorted(candidates, key=lambda one: (-one.cost, one.name))
    stop = next((i for i, one in enumerate(ordered) if not one.promise.proven), len(ordered))
    holding = [one for one in ordered if one.promise.holds]
    chosen = ordered[stop - 1] if stop else holding[-1] if holding else None
    faster = ordered[ordered.index(chosen) + 1 :] if chosen else []
    return Choice(
        chosen=chosen.name if chosen else None,
        proven=stop > 0,
        promise=chosen.promise if chosen else None,
        sequence=tuple(one.name for one in ordered),
        certified=tuple(one.name for one in ordered[:stop]),
        stopped_at=ordered[stop].name if stop < len(ordered) else None,
        unproven=tuple(one.name for one in reversed(faster) if one.promise.holds),
    )


def _check(candidates: Sequence[Candidate]) -> None:
    names = [one.name for one in candidates]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"candidates: {twice!r} occurs twice; give each its own name")
    asked = {(one.promise.keep, one.promise.confidence) for one in candidates}
    if len(asked) > 1:
        raise ValueError(
            f"candidates: promises with different keep and confidence, {sorted(asked)}; judge all "
            "with the same"
        )
