"""One row of `rivals_page.py`: what its cells say, and whether it holds, meets its target, and is
ahead of its rival."""

from typing import Any

Row = dict[str, Any]
_BASES = ("int8_hf", "int8_ours", "pytorch")
_ROUNDING = 1e-9


def cells_of(row: Row) -> list[str]:
    """Of the table of ratios."""
    return [
        f"{row['keep']:.4g}",
        chosen(row),
        _proof(row),
        tested(row),
        *(_ratio(row, base) for base in _BASES),
        _rival(row),
        _by_their_rule(row),
        _bar(row),
    ]


def work_of(row: Row) -> list[str]:
    """Of the table of rates and of what the search took."""
    return [
        f"{row['keep']:.4g}",
        *(_number(_rate(row, name), ",.0f") for name in ("ours", *_BASES)),
        _number(row["deferral"], ".1%"),
        f"{_number(row['test_quality'], '.4f')} ({row['teacher_test']:.4f})",
        f"{row['minutes']:.3g}",
        f"{row['training_seconds']:,.0f} s",
    ]


def _number(value: Any, form: str) -> str:
    if isinstance(value, dict):
        value = value["value"]
    return "–" if value is None else f"{value:{form}}"


def chosen(row: Row) -> str:
    """What was chosen, and how many texts it passes on."""
    if row["chosen"] is None:
        return "nothing"
    passed = "" if row["deferral"] is None else f", passes {row['deferral']:.1%} on"
    return f"{row['chosen']} ({row['kind']}{passed})".replace("|", "\\|")


def _proof(row: Row) -> str:
    """What dev says: the outcome of the search, its estimate and its bound."""
    name = {"kept": "proven", "unproven": "not proven", "not kept": "**not kept**"}[row["outcome"]]
    lower = row["dev_lower"]
    bound = "" if lower is None else f", at least {lower:.1%}"
    return name if row["dev_kept"] is None else f"{name}: {row['dev_kept']:.1%}{bound}"


def tested(row: Row) -> str:
    """The share that the test split measures."""
    if row["test_kept"] is None:
        return "–"
    return f"{row['test_kept']:.1%}" + ("" if holds(row) else " **below**")


def holds(row: Row) -> bool:
    """Whether the test split measures what was asked."""
    return row["test_kept"] is not None and row["test_kept"] >= row["keep"] - _ROUNDING


def met(row: Row) -> bool:
    """Whether the target is met by a choice whose test split holds."""
    if row["bar"] is None:
        return True
    return holds(row) and (_over(row, "int8_hf") or 0) >= row["bar"] - _ROUNDING


def ahead(row: Row) -> bool:
    """Whether no rival that keeps what was asked is faster."""
    return row["rival"] is None or (_over(row, "rival") or 0) >= 1 - _ROUNDING


def _bar(row: Row) -> str:
    if row["bar"] is None:
        return "–"
    return f"{row['bar']:g}×: {'met' if met(row) else '**missed**'}"


def _rate(row: Row, name: str) -> Row | None:
    """Texts per second of what was chosen, of a base, or of the rival; None where there is none."""
    found = row.get(name)
    if found is not None and name in ("rival", "plain"):
        found = found["throughput"]
    return found


def _over(row: Row, base: str) -> float | None:
    ours, theirs = _rate(row, "ours"), _rate(row, base)
    return None if ours is None or theirs is None else float(ours["value"] / theirs["value"])


def _ratio(row: Row, base: str) -> str:
    """The ratio with the widest spread that both quartiles allow."""
    ours, theirs, told = _rate(row, "ours") or {}, _rate(row, base) or {}, times_over(row, base)
    if any(rate.get(end) is None for rate in (ours, theirs) for end in ("low", "high")):
        return told
    low, high = ours["low"] / theirs["high"], ours["high"] / theirs["low"]
    return f"{told} [{_times(low)}, {_times(high)}]"


def _rival(row: Row) -> str:
    if row["rival"] is None:
        return "no rival keeps as much"
    told = f"{_ratio(row, 'rival')} {row['rival']['name']} ({row['rival']['test_kept']:.1%})"
    return told.replace("|", "\\|") + ("" if ahead(row) else " **slower**")


def _by_their_rule(row: Row) -> str:
    """How our own n-grams stand against the rival where no proof is asked of either."""
    ours, theirs = _rate(row, "plain"), _rate(row, "rival")
    if ours is None or theirs is None:
        return "–"
    passed = row["plain"]
    told = f"{_times(ours['value'] / theirs['value'])} {passed['name']} ({passed['test_kept']:.1%})"
    return told.replace("|", "\\|")


def times_over(row: Row, base: str) -> str:
    """How many times as fast as a base, or the rival."""
    over = _over(row, base)
    return "–" if over is None else _times(over)


def _times(value: float) -> str:
    return f"{value:,.0f}×" if value >= 100 else f"{value:.1f}×" if value >= 2 else f"{value:.2f}×"
