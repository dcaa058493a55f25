"""The page of `compress` against everything that a user could pick, and README's table of it.

A row is one search, as a line of docs/results/rivals.jsonl:

    set, metric, keep           the data set, its metric (may be absent), and what was asked
    chosen, kind, outcome       its name; "n-grams", "cascade", "student" or "teacher"; "kept",
                                "unproven" or "not kept"
    dev_kept, dev_lower         share of the teacher's quality on dev, and what is proven of it
    test_kept, test_quality, teacher_test
    deferral                    share of dev's texts that a cascade passes on, or null
    ours, int8_hf, int8_ours, pytorch
                                texts per second on one thread, from strings: {value, low, high}
    rival                       the fastest rival that keeps on test what was asked: {name,
                                throughput: {value, low, high}, test_kept}, or null
    plain                       the fastest of our n-grams, alone or before the teacher, chosen as
                                the rival is; like it, and may be absent
    bar                         target for the ratio over `int8_hf`, or null
    minutes, training_seconds, machine

Where nothing was chosen, all that would be said of it is null. Of several rows of one set and keep
the last counts.
"""

import json
from pathlib import Path
from typing import Any

from rivals_reasons import STANDS

from leanformer.core.storage.files import write_text

_UNKNOWN = "not examined yet."
_BASES = ("int8_hf", "int8_ours", "pytorch")
_ROUNDING = 1e-9

Row = dict[str, Any]


def write_rivals_page(rows: list[Row], path: Path) -> None:
    """Write the page of these rows."""
    write_text(path, page(rows))


def page(rows: list[Row]) -> str:
    """The page: a table per data set, then what stands in the way of the targets that were missed.

    Raises:
        ValueError: There are no rows.
    """
    rows = _latest(rows)
    lines = [TOP, _count(rows)]
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        metric = mine[0].get("metric")
        lines += [f"\n## {name}{f', {metric}' if metric else ''}\n"]
        lines += [f"Measured on {_machines(mine)}.\n", *_head(HEADS)]
        lines += [_line(_cells(row)) for row in mine]
        lines += ["", *_head(WORK), *(_line(_work(row)) for row in mine)]
    short = [row for row in rows if not (_met(row) and _ahead(row))]
    if short:
        lines += ["\n## What stands in the way\n", *map(_stands, short)]
    machines = {json.dumps(row["machine"], sort_keys=True) for row in rows}
    lines += [f"\nMachine: `{machine}`" for machine in sorted(machines)]
    return "\n".join(lines) + "\n"


def readme_table(rows: list[Row]) -> str:
    """README's short table: what was chosen, what test says, and how much faster it is."""
    rows = _latest(rows)
    lines = [SUMMARY.format(machines=_machines(rows)), *_head(SHORT)]
    for row in rows:
        lines.append(
            _line(
                [
                    row["set"],
                    f"{row['keep']:.4g}",
                    _chosen(row),
                    _test(row),
                    _plain(row, "int8_hf"),
                    _plain(row, "pytorch"),
                    _plain(row, "rival"),
                ]
            )
        )
    lines.append(
        "\nTargets, spreads, and what stands in the way of those that were missed: "
        "[docs/results/rivals.md](docs/results/rivals.md).\n"
    )
    return "\n".join(lines)


def _machines(rows: list[Row]) -> str:
    """The processors that rows were measured on; with their sets where there are several."""
    found: dict[str, list[str]] = {}
    for row in rows:
        machine = row["machine"]
        known = ", ".join(machine.get("instructions", []))
        name = f"{machine['cpu']}, {known}" if known else machine["cpu"]
        found.setdefault(name, []).append(row["set"])
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{name} ({', '.join(dict.fromkeys(sets))})" for name, sets in found.items())


def _latest(rows: list[Row]) -> list[Row]:
    """The last row of each set and keep; sets in order of appearance, the most asked first."""
    if not rows:
        raise ValueError("no rows; docs/results/rivals.jsonl has one line per search")
    found = {(row["set"], row["keep"]): row for row in rows}
    order = list(dict.fromkeys(row["set"] for row in rows))
    return sorted(found.values(), key=lambda row: (order.index(row["set"]), -row["keep"]))


def _cells(row: Row) -> list[str]:
    return [
        f"{row['keep']:.4g}",
        _chosen(row),
        _proof(row),
        _test(row),
        *(_ratio(row, base) for base in _BASES),
        _rival(row),
        _by_their_rule(row),
        _bar(row),
    ]


def _work(row: Row) -> list[str]:
    return [
        f"{row['keep']:.4g}",
        *(_number(_rate(row, name), ",.0f") for name in ("ours", *_BASES)),
        _number(row["deferral"], ".1%"),
        f"{_number(row['test_quality'], '.4f')} ({row['teacher_test']:.4f})",
        f"{row['minutes']:.3g}",
        f"{row['training_seconds']:,.0f} s",
    ]


def _count(rows: list[Row]) -> str:
    """What the page says in one sentence."""
    barred = [row for row in rows if row["bar"] is not None]
    against = [row for row in rows if row["rival"] is not None]
    return (
        f"Of {len(rows)} searches {sum(row['outcome'] == 'kept' for row in rows)} ended with a "
        f"proof, and of {sum(map(_holds, rows))} the test split measures what was asked. "
        f"{sum(map(_met, barred))} of {len(barred)} targets are met; "
        f"{sum(map(_ahead, against))} of {len(against)} are at least as fast as the fastest rival "
        "that keeps what was asked."
    )


def _number(value: Any, form: str) -> str:
    if isinstance(value, dict):
        value = value["value"]
    return "–" if value is None else f"{value:{form}}"


def _chosen(row: Row) -> str:
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


def _test(row: Row) -> str:
    if row["test_kept"] is None:
        return "–"
    return f"{row['test_kept']:.1%}" + ("" if _holds(row) else " **below**")


def _holds(row: Row) -> bool:
    """Whether the test split measures what was asked."""
    return row["test_kept"] is not None and row["test_kept"] >= row["keep"] - _ROUNDING


def _met(row: Row) -> bool:
    """Whether the target is met by a choice whose test split holds."""
    if row["bar"] is None:
        return True
    return _holds(row) and (_over(row, "int8_hf") or 0) >= row["bar"] - _ROUNDING


def _ahead(row: Row) -> bool:
    """Whether no rival that keeps what was asked is faster."""
    return row["rival"] is None or (_over(row, "rival") or 0) >= 1 - _ROUNDING


def _bar(row: Row) -> str:
    if row["bar"] is None:
        return "–"
    return f"{row['bar']:g}×: {'met' if _met(row) else '**missed**'}"


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
    ours, theirs, told = _rate(row, "ours") or {}, _rate(row, base) or {}, _plain(row, base)
    if any(rate.get(end) is None for rate in (ours, theirs) for end in ("low", "high")):
        return told
    low, high = ours["low"] / theirs["high"], ours["high"] / theirs["low"]
    return f"{told} [{_times(low)}, {_times(high)}]"


def _rival(row: Row) -> str:
    if row["rival"] is None:
        return "no rival keeps as much"
    told = f"{_ratio(row, 'rival')} {row['rival']['name']} ({row['rival']['test_kept']:.1%})"
    return told.replace("|", "\\|") + ("" if _ahead(row) else " **slower**")


def _by_their_rule(row: Row) -> str:
    """How our own n-grams stand against the rival where no proof is asked of either."""
    ours, theirs = _rate(row, "plain"), _rate(row, "rival")
    if ours is None or theirs is None:
        return "–"
    passed = row["plain"]
    told = f"{_times(ours['value'] / theirs['value'])} {passed['name']} ({passed['test_kept']:.1%})"
    return told.replace("|", "\\|")


def _plain(row: Row, base: str) -> str:
    over = _over(row, base)
    return "–" if over is None else _times(over)


def _times(value: float) -> str:
    return f"{value:,.0f}×" if value >= 100 else f"{value:.1f}×" if value >= 2 else f"{value:.2f}×"


def _stands(row: Row) -> str:
    told = []
    if row["chosen"] is None:
        told.append("nothing was chosen")
    elif not _met(row):
        told.append(
            f"{_plain(row, 'int8_hf')} of {row['bar']:g}×"
            + ("" if _holds(row) else f", and the test split measures {_test(row)}")
        )
    if row["chosen"] is not None and not _ahead(row):
        told.append(f"slower than {row['rival']['name']}")
    reason = STANDS.get((row["set"], row["keep"]), _UNKNOWN)
    return f"- **{row['set']}, {row['keep']:.4g}** ({'; '.join(told)}): {reason}"


def _head(names: list[str]) -> list[str]:
    return [_line(names), f"|{'---|' * len(names)}"]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


TOP = """# Against everything a user could pick

Generated by `python benchmarks/rivals.py table` from `rivals.jsonl`; the first lines of that script
say how it is made, those of `rivals_page.py` what a line of it holds.

Each row is one `leanformer compress`, asked to keep that share of the teacher's quality with 90 %
confidence; one teacher per data set is shared by all. The search sees train and dev; the test
split is opened once. *dev*: what the search says, with its estimate and 90 % lower bound. *test
kept*: the share that the test split measures (**below**: less than was asked, which a sample may
be by chance even where the promise is true). Ratios are of texts per second on one thread, from
strings to answers, with the widest spread that the quartiles of both allow, of 512 texts of test in
one call (of 128 on AMD EPYC):

- **(a)** over OpenVINO int8 of the whole teacher with Hugging Face's tokenizer,
- **(b)** over the same with ours,
- **(c)** over PyTorch fp32 of the teacher as its users run it,
- **(d)** over the fastest rival that keeps on test what was asked,
- **(e)** of our own n-grams, alone or before the teacher, over that rival, where ours are picked as
  the rival is: the threshold by the plain rule (dev keeps what is asked, by estimate), and of
  several the fastest that test happens to agree with. No promise comes with either; the difference
  between (d) and (e) is what the proof costs. Rows without it were timed before it was.

A target is for (a), and is met only where the test split holds too. The more of a processor's
instructions are for products of int8, the faster is the int8 teacher, and the smaller are ratios
over it: compare sets of one machine only.
"""
HEADS = ["keep", "chosen", "dev", "test kept", "(a)", "(b)", "(c)", "(d)", "(e)",
         "target for (a)"]  # fmt: skip
WORK = ["keep", "chosen, texts/s", "(a), texts/s", "(b), texts/s", "(c), texts/s", "passed on",
        "test quality (teacher's)", "minutes", "training"]  # fmt: skip
SHORT = ["data", "asked", "chosen", "test keeps", "over int8 teacher", "over PyTorch fp32",
         "over the fastest rival that keeps it too"]  # fmt: skip
SUMMARY = """What `leanformer compress` chose on dev, on one thread, from strings to answers.
*asked* and *test keeps* are shares of the teacher's quality. Measured on {machines}.
"""
