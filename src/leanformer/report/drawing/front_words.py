"""What the front says in words: the card of a mark, and what is not in the picture."""

import html

from leanformer.report.costs import million
from leanformer.report.lineup import Lineup, System
from leanformer.report.units import duration, percent, score, share, significant, times
from leanformer.report.verdict import in_words


def card(system: System, field: Lineup, split: str) -> str:
    """The hover card of a system."""
    facts = [in_words(system), system.backend]
    lines = [f"<b>{html.escape(system.name)}</b>", html.escape(" · ".join(f for f in facts if f))]
    kept = field.kept(system, split)
    lines.append(
        f"{system.metric} {score(system.quality[split], system.metric)}"
        + (f", {percent(kept)} of the teacher's" if kept is not None else "")
    )
    if (passed := system.of("deferral")) is not None:
        lines.append(f"passes {percent(passed.value)} of dev's texts on")
    if (seconds := million(field, system)) is not None:
        lines.append(f"{duration(seconds.value)} of one thread per million texts")
    for name, scale, text in (
        ("latency_mean", 1e3, "ms for a text, on average"),
        ("latency_32", 1e3, "ms at 32 tokens"),
        ("throughput", 1, "texts/s"),
        ("size", 1e-6, "MB on disk"),
    ):
        if (quantity := system.of(name)) is not None:
            lines.append(f"{significant(scale * quantity.value)} {text}")
    for over, base in (
        (field.over_rival(system), field.rival),
        (field.over_eager(system), field.eager),
    ):
        if over is not None and base is not None:
            lines.append(f"{times(over.value)} {html.escape(base.name)}")
    return "<br>".join(lines)


def missing(
    field: Lineup,
    edge: list[System],
    x: dict[str, float],
    shares: dict[str, float],
    floor: float,
) -> str:
    """What is not in the picture, in words."""

    def told(systems: list[System]) -> str:
        return ", ".join(f"{s.name} ({percent(shares[s.name])})" for s in systems)

    untimed = [s for s in field.systems if s.name in shares and s.name not in x]
    parts = [f"Below {share(floor)}: {told(edge)}."] if edge else []
    parts += [f"Not measured on this axis: {told(untimed)}."] if untimed else []
    return " ".join(parts)
