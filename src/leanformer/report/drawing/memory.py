"""The chart of what takes a training step's memory."""

from collections.abc import Mapping

from leanformer.report.drawing.axes import SERIES, Spec, axis_title, layout, named_rows

_MIB = 2**20


def memory_account(account: Mapping[str, int], most: int | None) -> Spec:
    """A bar of what was predicted, part by part, above one of what was there at most.

    Args:
        account: Bytes by what takes them (`leanformer.train.account.Account`); what has none is
            left out.
        most: The most that was measured; None = nothing was.
    """
    rows = ["predicted", "at most"] if most else ["predicted"]
    made = layout(height=120 + 60 * len(rows))
    made["barmode"] = "stack"
    made["xaxis"] |= {"title": axis_title("MiB"), "rangemode": "tozero"}
    made["yaxis"] |= named_rows(rows)
    bars = [
        _bar(name, 0, size, SERIES[number])
        for number, (name, size) in enumerate(account.items())
        if size
    ]
    if most:
        bars.append({**_bar("at most", 1, most, SERIES[-2]), "showlegend": False})
    return {"data": bars, "layout": made}


def _bar(name: str, row: int, size: int, colour: str) -> Spec:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": [size / _MIB],
        "y": [row],
        "width": 0.6,
        "marker": {"color": colour},
        "meta": {"symbol": "square", "color": colour},
        "hovertemplate": f"<b>{name}</b><br>%{{x:,.1f}} MiB<extra></extra>",
    }
