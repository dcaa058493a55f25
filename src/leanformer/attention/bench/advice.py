"""Which mechanism for texts of a length? Answered from what was measured on this machine.

Between two measured lengths the ratio to dense attention is read off a straight line in logarithms:
dense time grows with the square of the length and most others with the length itself. Beyond the
longest measured length nothing is claimed. Measurements of another machine or device are left out.
A mechanism whose effect on a trained model's quality is unknown is listed but never recommended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

from leanformer.attention.bench.exchanged import cost_of
from leanformer.attention.heads import Swap
from leanformer.attention.mechanism import Mechanism
from leanformer.core.codec import decode
from leanformer.measure.environment import machine_of

KEEP = 0.9  # below it a mechanism is worth what it changes

Event = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        length: Tokens of the texts.
        environment: Of this machine, as `leanformer.attention.bench.measure.here` gives it.
        causal: Whether layers are causal.
        backward: Whether the model is to be trained, not only run.
        padded: Whether texts are padded to the longest of their batch.
        device: Where the model runs.
    """

    length: int
    environment: Mapping[str, Any]
    causal: bool = False
    backward: bool = False
    padded: bool = False
    device: str = "cpu"

    @property
    def kind(self) -> str:
        """The kind of work, in words."""
        direction = "causal" if self.causal else "bidirectional"
        passes = "training" if self.backward else "inference"
        return f"{direction} {passes} {'with' if self.padded else 'without'} padding"


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One mechanism at the asked length.

    Attributes:
        name: Of the mechanism.
        ratio: Of its time to dense attention's.
        crossover: Shortest length from which on it is faster; None = at no measured length.
        learned: Whether it has parameters of its own.
        exact: Whether a causal layer stays strictly blind to the future.
        swap: What it means for a trained model, see `Capabilities.swap`.
        quality: The same in words, with our own measurement.
    """

    name: str
    ratio: float
    crossover: int | None
    learned: bool
    exact: bool
    swap: Swap
    quality: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the record says.

    Attributes:
        mechanisms: Those that were measured here, the fastest first.
        best: The fastest that is worth it and that may be recommended; None = keep dense attention.
        left_out: Machines and devices whose measurements were not counted, with how many there are.
    """

    mechanisms: tuple[Advice, ...]
    best: Advice | None
    left_out: Mapping[str, int]


def advise(events: Sequence[Event], question: Question) -> Answer:
    """Mechanisms that were measured on this machine, and which of them to take.

    Without training only mechanisms are recommended that a trained model keeps its quality with;
    with training also those that must be trained, unless they ruin a trained model.

    Args:
        events: `attention` events of a record.
        question: What is asked.

    Raises:
        ValueError: Nothing was measured here that answers this.
    """
    mine, left_out = _measured_here(events, question)
    asked = [event for event in mine if _is_of(event, question)]
    if not asked:
        raise ValueError(f"nothing was measured of {question.kind}; run leanformer attention bench")
    lengths = sorted({event["work"]["length"] for event in asked})
    if not lengths[0] <= question.length <= lengths[-1]:
        raise ValueError(
            f"length: {question.length} is outside of what was measured of {question.kind}, "
            f"{lengths[0]} to {lengths[-1]}; run leanformer attention bench --lengths "
            f"{question.length}"
        )
    named: dict[str, dict[int, Event]] = {}
    for event in asked:  # the last measurement counts
        if event.get("mechanism") is not None:
            named.setdefault(event["name"], {})[event["work"]["length"]] = event
    found = [_advice(name, points, question.length) for name, points in named.items()]
    mechanisms = sorted((one for one in found if one is not None), key=lambda one: one.ratio)
    allowed: tuple[Swap, ...] = ("keeps", "loses") if question.backward else ("keeps",)
    best = next((one for one in mechanisms if one.swap in allowed and one.ratio <= KEEP), None)
    return Answer(mechanisms=tuple(mechanisms), best=best, left_out=left_out)


def _measured_here(
    events: Sequence[Event], question: Question
) -> tuple[list[Event], dict[str, int]]:
    here, mine = _place(question.environment, question.device), []
    left_out: dict[str, int] = {}
    for event in events:
        place = _place(event.get("environment"), event["work"].get("device", "cpu"))
        if place == here:
            mine.append(event)
        else:
            left_out[place] = left_out.get(place, 0) + 1
    if left_out and not mine:
        raise ValueError(
            f"the record was measured elsewhere ({'; '.join(left_out)}) and this is {here}; run "
            "leanformer attention bench here"
        )
    return mine, left_out


def _place(environment: Mapping[str, Any] | None, device: str) -> str:
    return f"{device} of {machine_of(environment)}"


def _is_of(event: Event, question: Question) -> bool:
    work = event["work"]
    kind = (work["causal"], work["backward"], bool(work.get("padded")))
    return kind == (question.causal, question.backward, question.padded)


def _advice(name: str, points: Mapping[int, Event], length: int) -> Advice | None:
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
        swap=capabilities.swap,
        quality=cost_of(name, capabilities.swap),
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
