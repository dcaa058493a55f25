"""Everything that was measured, and what it is compared with.

A ratio means nothing without its baseline, so a lineup names three and keeps them:

    teacher   whose quality has to be kept
    eager     PyTorch fp32 of the teacher as its users run it: unsorted, padded to the longest
    rival     the best one would pick without us: int8 of the uncompressed teacher, length-sorted

Beside them stands the simplest rival, which is not a transformer.
"""

from dataclasses import dataclass, field

from leanformer.core.quantity import Quantity
from leanformer.report.events import Event, Events


@dataclass(frozen=True, kw_only=True)
class System:
    """One model on one backend, as it was measured."""

    name: str
    role: str
    system: str = "transformer"
    backend: str = ""
    precision: str = ""
    shape: Event = field(default_factory=dict)
    metric: str = "quality"
    quality: dict[str, float] = field(default_factory=dict)
    quantities: dict[str, Quantity] = field(default_factory=dict)
    decision: str = ""
    proven: bool = False
    """Whether dev proves that a candidate keeps what was asked."""
    note: str = ""

    def of(self, name: str) -> Quantity | None:
        """The quantity `name`, or None where it was not measured."""
        return self.quantities.get(name)


@dataclass(frozen=True, kw_only=True)
class Lineup:
    """All systems, with those that the others are compared with."""

    systems: list[System]
    teacher: System | None
    eager: System | None
    rival: System | None
    simplest: System | None
    chosen: System | None
    exported: System | None
    """The chosen one in the form that is served, where the race of backends chose another."""
    keep: float | None
    gates: list[Event] = field(default_factory=list)
    """The thresholds of each cascade, as they were judged on dev."""

    @property
    def candidates(self) -> list[System]:
        """Students and cascades, in the order in which they were measured."""
        return [system for system in self.systems if system.role == "candidate"]

    @property
    def splits(self) -> list[str]:
        """The splits on which both the teacher and some candidate were scored; dev first."""
        scored = [s for s in ("dev", "test") if self.teacher and s in self.teacher.quality]
        return [s for s in scored if any(s in system.quality for system in self.candidates)]

    def kept(self, system: System, split: str) -> float | None:
        """The share of the teacher's quality on `split` that `system` keeps; None where the
        teacher's is not above 0."""
        of_teacher = self.teacher.quality.get(split) if self.teacher else None
        own = system.quality.get(split)
        if own is None or of_teacher is None or of_teacher <= 0:
            return None
        return own / of_teacher

    def enough(self, kept: float) -> bool:
        """Whether a kept share is what was asked for, but for rounding."""
        return self.keep is None or kept >= self.keep - 1e-6

    def gate(self, system: System) -> Event | None:
        """The thresholds of a cascade; None of other systems."""
        names = [system.name]
        if system is self.exported and self.chosen is not None:
            names.append(self.chosen.name)
        return next((gate for gate in self.gates if gate["name"] in names), None)

    def over_rival(self, system: System) -> Quantity | None:
        """Throughput over the rival's, both on length-sorted batches."""
        if self.rival is None or self.rival is system:
            return None
        return ratio(system.of("throughput"), self.rival.of("throughput"))

    def over_eager(self, system: System) -> Quantity | None:
        """Throughput over that of eager PyTorch fp32 on the batches as they come."""
        if self.eager is None or self.eager is system:
            return None
        base = self.eager.of("throughput_unsorted") or self.eager.of("throughput")
        return ratio(system.of("throughput"), base)

    def smaller(self, system: System) -> Quantity | None:
        """How many times the file of the fp32 teacher is larger than the system's."""
        base = self.eager or self.teacher
        return ratio(base.of("size"), system.of("size")) if base else None


def ratio(above: Quantity | None, below: Quantity | None) -> Quantity | None:
    """`above` over `below`, with the widest spread that both quartiles allow."""
    if above is None or below is None or not below.value:
        return None
    low = high = None
    if above.low is not None and above.high is not None:
        low, high = above.low / (below.high or below.value), above.high / (below.low or below.value)
    elif below.low and below.high:
        low, high = above.value / below.high, above.value / below.low
    return Quantity(above.value / below.value, "x", low, high)


def lineup(events: Events) -> Lineup:
    """The systems of a record, with the baselines found among them."""
    decisions = {choice["name"]: choice["decision"] for choice in events.choices}
    proofs = _proofs(events)
    systems = [_system(model, decisions, proofs) for model in events.models]
    verdict = events.verdict or {}
    teachers = [s for s in systems if s.role == "teacher"]
    others = [s for s in systems if s.role in ("teacher", "baseline")]
    eager = [s for s in others if (s.backend, s.precision) == ("pytorch", "fp32")]
    rivals = [s for s in others if (s.backend, s.precision) == ("openvino", "int8")]
    chosen = named(systems, verdict.get("chosen"))
    return Lineup(
        systems=systems,
        teacher=next(iter(teachers), None),
        eager=next(iter(eager), None),
        rival=named(systems, verdict.get("baseline")) or next(iter(rivals), None),
        simplest=next((s for s in others if s.system != "transformer"), None),
        chosen=chosen,
        exported=named(systems, verdict.get("exported")) or chosen,
        keep=events.run.get("keep"),
        gates=events.gates,
    )


def named(systems: list[System], name: str | None) -> System | None:
    """The system called `name`, or the first whose name begins with it ("L3" finds "L3 · int8")."""
    exact = (system for system in systems if system.name == name)
    begun = (system for system in systems if name and system.name.startswith(f"{name} ·"))
    return next(exact, None) or next(begun, None)


def _proofs(events: Events) -> dict[str, bool]:
    """Whether each candidate is proven to keep what was asked, by name; the verdict has the last
    word."""
    verdict = events.verdict or {}
    found: dict[str, bool] = {}
    for gate in events.gates:
        alone = gate.get("rate") == 0  # nothing is passed on: the first system keeps it by itself
        name = gate["first"] if alone else gate["name"]
        found[name] = found.get(name, False) or bool(gate.get("proven"))
    for choice in events.choices:
        name, kept = choice["name"], choice["decision"] in ("kept", "chosen")
        found[name] = bool(choice.get("proven", found.get(name, kept)))
    found |= dict.fromkeys(verdict.get("faster") or [], False)
    for name in (verdict.get("chosen"), verdict.get("exported")):
        if name is not None and verdict.get("outcome") is not None:
            found[name] = verdict["outcome"] == "kept"
    return found


def _system(model: Event, decisions: dict[str, str], proofs: dict[str, bool]) -> System:
    name = model["name"]
    quantities = {
        key: Quantity(q["value"], q.get("unit", ""), q.get("low"), q.get("high"))
        for key, q in (model.get("quantities") or {}).items()
        if isinstance(q, dict) and q.get("value") is not None
    }
    first = name.split(" ·")[0]
    decided = decisions.get(name) or decisions.get(first, "")
    return System(
        name=name,
        role=model["role"],
        system=model.get("system") or _kind_of(model),
        backend=model.get("backend") or "",
        precision=model.get("precision") or "",
        shape=model.get("shape") or {},
        metric=model.get("metric") or "quality",
        quality={key: q for key, q in (model.get("quality") or {}).items() if q is not None},
        quantities=quantities,
        decision=decided if model["role"] == "candidate" else "",
        proven=proofs.get(name, proofs.get(first, False)),
        note=model.get("note") or "",
    )


def _kind_of(model: Event) -> str:
    """The kind of system in records of versions that did not write it."""
    return "ngrams" if model.get("backend") == "scikit-learn" else "transformer"
