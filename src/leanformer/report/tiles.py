"""The big numbers of the page: ratios with their baselines, what is kept, what it costs."""

from dataclasses import dataclass

from leanformer.core.quantity import Quantity
from leanformer.report.costs import million
from leanformer.report.events import Events
from leanformer.report.lineup import Lineup, System, lineup, ratio
from leanformer.report.units import amount, duration, percent, score, share, significant, times
from leanformer.report.verdict import eager_label, label, shown, split_of, unproven_by_test

_LEAST = 0.1  # ms that are said as such


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One big number: the figure, what it is, and the detail that keeps it honest."""

    figure: str
    label: str
    detail: str = ""
    met: bool | None = None
    """Whether a bar was met; None where none was set."""


def tiles(events: Events) -> list[Tile]:
    """Up to six big numbers about the chosen system, or the best one where none was chosen."""
    field = lineup(events)
    system = shown(field)
    if system is None:
        return []
    unproven = unproven_by_test(events, field) is not None
    made = [_rival_tile(field, system), _eager_tile(field, system)]
    made += [_kept_tile(field, system, unproven=unproven)]
    made += [_cost_tile(field, system), _size_tile(field, system), _latency_tile(field, system)]
    return [tile for tile in made if tile is not None]


def _rival_tile(field: Lineup, system: System) -> Tile | None:
    over = field.over_rival(system)
    if over is None or field.rival is None:
        return None
    return Tile(
        figure=times(over.value),
        label=f"the throughput of {label(field.rival)}",
        detail=_join(_spread(over), "length-sorted batches, both"),
    )


def _eager_tile(field: Lineup, system: System) -> Tile | None:
    over = field.over_eager(system)
    if over is None:
        return None
    return Tile(
        figure=times(over.value),
        label=f"the throughput of {eager_label(field)}",
        detail=_join(_spread(over), "the teacher as its users run it, unsorted"),
    )


def _kept_tile(field: Lineup, system: System, *, unproven: bool) -> Tile | None:
    split = split_of(field, system)
    kept = field.kept(system, split)
    if kept is None or field.teacher is None:
        return None
    own, teachers = system.quality[split], field.teacher.quality[split]
    detail = f"{score(own, system.metric)} against {score(teachers, system.metric)}"
    asked = f"{share(field.keep)} asked" if field.keep is not None else ""
    return Tile(
        figure=percent(kept),
        label=f"of the teacher's {system.metric} on {split}",
        detail=_join(detail, asked, "less, but too few texts to prove it" if unproven else ""),
        met=None if field.keep is None or unproven else field.enough(kept),
    )


def _size_tile(field: Lineup, system: System) -> Tile | None:
    over, size = field.smaller(system), system.of("size")
    base = (field.eager or field.teacher or system).of("size")
    if over is None or size is None or base is None:
        return None
    sizes = f"{amount(size.value, 'bytes')} instead of {amount(base.value, 'bytes')}"
    figure = times(over.value if over.value >= 1 else 1 / over.value)
    return Tile(
        figure=figure, label=f"{'smaller' if over.value >= 1 else 'larger'} on disk", detail=sizes
    )


def _cost_tile(field: Lineup, system: System) -> Tile | None:
    cost = million(field, system)
    theirs = million(field, field.rival) if field.rival else None
    if cost is None:
        return None
    instead = f"{duration(theirs.value)} by {label(field.rival)}" if theirs and field.rival else ""
    return Tile(
        figure=duration(cost.value), label="of one thread per million texts", detail=instead
    )


def _latency_tile(field: Lineup, system: System) -> Tile | None:
    """The latency of a cascade depends on the text: its mean and its worst are told."""
    mean, worst = system.of("latency_mean"), system.of("latency_worst")
    if system.system == "cascade" and mean is not None:
        detail = f"at worst {_milliseconds(worst)}, where a text is passed on" if worst else ""
        return Tile(
            figure=_milliseconds(mean), label="a text of yours on average, batch 1", detail=detail
        )
    latency = system.of("latency_32")
    if latency is None:
        return None
    below = ratio(field.rival.of("latency_32"), latency) if field.rival else None
    detail = f"{times(below.value)} below {label(field.rival)}" if below and field.rival else ""
    return Tile(figure=_milliseconds(latency), label="a text of 32 tokens, batch 1", detail=detail)


def _milliseconds(seconds: Quantity) -> str:
    milliseconds = 1000 * seconds.value
    if milliseconds < _LEAST:
        return f"{significant(1000 * milliseconds, 2)} µs"
    return f"{significant(milliseconds, 2)} ms"


def _spread(over: Quantity) -> str:
    if over.low is None or over.high is None:
        return ""
    return f"{times(over.low).rstrip('×')}–{times(over.high)}"


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
