"""What a cascade would be at each of its thresholds: a line from its first system to its second."""

import html

from leanformer.report.drawing.axes import Spec
from leanformer.report.drawing.front_axes import Axis
from leanformer.report.events import Event
from leanformer.report.lineup import Lineup, named
from leanformer.report.units import percent


def thresholds(field: Lineup, on: Axis, split: str) -> Spec | None:
    """The lines of all cascades, by what dev estimates; None where there are none.

    The test split was asked about one threshold only, and sizes do not depend on it: there are no
    lines then.
    """
    xs: list[float | None] = []
    ys: list[float | None] = []
    texts: list[str] = []
    for gate in field.gates if split == "dev" and on.adds else []:
        parts = [named(field.systems, gate[which]) for which in ("first", "second")]
        first, second = (None if part is None else on.of(field, part) for part in parts)
        if first is None or second is None:
            continue
        rows = [row for row in gate["rows"] if row.get("kept") is not None]
        for row in sorted(rows, key=lambda row: row["rate"]):
            xs.append(on.together(first, second, row["rate"]))
            ys.append(row["kept"])
            texts.append(_card(gate["name"], row))
        xs, ys, texts = [*xs, None], [*ys, None], [*texts, ""]  # a gap to the next line
    if not any(texts):
        return None
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Cascades at every threshold (estimated)",
        "x": xs[:-1],
        "y": ys[:-1],
        "line": {"color": "var(--cascade)", "width": 1.2},
        "hovertext": texts[:-1],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _card(name: str, row: Event) -> str:
    bound = row.get("lower")
    sure = f", at least {percent(bound)}" if bound is not None and bound > 0 else ""
    return (
        f"<b>{html.escape(name)}</b><br>passes {percent(row['rate'])} on<br>"
        f"keeps {percent(row['kept'])}{sure}<br>cost estimated from its parts"
    )
