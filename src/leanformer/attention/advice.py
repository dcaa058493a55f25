"""Which mechanism for texts of a length? Answered from what was measured on this machine.

Between two measured lengths the ratio to dense attention is read off a straight line in logarithms:
dense time grows with the square of the length and most others with the length itself. Beyond the
longest measured length nothing is claimed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

from leanformer.core.codec import decode

KEEP = 0.9  # below it a mechanism is worth what it changes


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One mechanism at the asked length.

    Attributes:
        name: Of the mechanism.
        ratio: Of its time to dense attention's.
        crossover: Shortest length from which on it is faster; None = at no measured length.
        learned: Whether it has parameters that a model must be trained with.
        exact: Whether a causal layer stays strictly blind to the future.
    """

    name: str
    ratio: float
    crossover: int | None
    learned: bool
    exact: bool


def advise(
    events: Sequence[Mapping[str, Any]], length: int, *, causal: bool, backward: bool
) -> list[Advice]:
    """Mechanisms that were measured, the fastest at this length first.

    Args:
        events: `attention` events of a record.
        length: Tokens of the texts.
        causal: Whether layers are causal.
        backward: Whether a model is to be trained, not only run.

    Raises:
        ValueError: Nothing was measured that answers this.
    """
    asked = [
        e for e in events if (e["work"]["causal"], e["work"]["backward"]) == (causal, backward)
    ]
    kind = f"{'causal' if causal else 'bidirectional'} {'training' if backward else 'inference'}"
    if not asked:
        raise ValueError(f"nothing was measured of {kind}; run leanformer attention bench")
    lengths = sorted({e["work"]["length"] for e in asked})
    if not lengths[0] <= length <= lengths[-1]:
        raise ValueError(
            f"length: {length} is outside of what was measured of {kind}, {lengths[0]} to "
            f"{lengths[-1]}; run leanformer attention bench --lengths {length}"
        )
    named: dict[str, dict[int, Mapping[str, Any]]] = {}
    for event in asked:  # the last measurement counts
        if event.get("mechanism") is not None:
            named.setdefault(event["name"], {})[event["work"]["length"]] = event
    found = [_advice(name, points, length) for name, points in named.items()]
    return sorted((one for one in found if one is not None), key=lambda one: one.ratio)


def _advice(name: str, points: Mapping[int, Mapping[str, Any]], length: int) -> Advice | None:
    from leanformer.attention.mechanism import Mechanism  # torch is slow to import

    ratios = {one: event["ratio"]["value"] for one, event in sorted(points.items())}
    if not min(ratios) <= length <= max(ratios):
        return None
    last = points[max(points)]
    capabilities = decode(Mechanism, last["mechanism"]).capabilities
    return Advice(
        name=name,
        ratio=between(ratios, length),
        crossover=crossover(ratios),
        learned=capabilities.learned,
        exact=capabilities.causal == "exact",
    )


def between(ratios: Mapping[int, float], length: int) -> float:
    """The ratio at a length between measured ones, on a line in logarithms."""
    lengths = sorted(ratios)
    above = next(one for one in lengths if one >= length)
    if above == length:
        return ratios[above]
    below = lengths[lengths.index(above) - 1]
    share = log(length / below) / log(above / below)
    return exp((1 - share) * log(ratios[below]) + share * log(ratios[above]))


def crossover(ratios: Mapping[int, float]) -> int | None:
    """The shortest length from which on the ratio stays below 1; None where it never does."""
    lengths = sorted(ratios)
    slower = [one for one in lengths if ratios[one] >= 1]
    if not slower:
        return lengths[0]
    if slower[-1] == lengths[-1]:
        return None
    low, high = slower[-1], lengths[lengths.index(slower[-1]) + 1]
    first, last = log(ratios[low]), log(ratios[high])
    return round(low * (high / low) ** (first / (first - last)))
