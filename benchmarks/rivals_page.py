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

from rivals_reasons import STANDS
from rivals_row import Row, ahead, cells_of, chosen, holds, met, tested, times_over, work_of

from leanformer.core.storage.files import write_text

_UNKNOWN = "not examined yet."


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
        lines += [_line(cells_of(row)) for row in mine]
        lines += ["", *_head(WORK), *(_line(work_of(row)) for row in mine)]
    short = [row for row in rows if not (met(row) and ahead(row))]
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
                    chosen(row),
                    tested(row),
                    times_over(row, "int8_hf"),
                    times_over(row, "pytorch"),
                    times_over(row, "rival"),
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


def _count(rows: list[Row]) -> str:
    """What the page says in one sentence."""
    barred = [row for row in rows if row["bar"] is not None]
    against = [row for row in rows if row["rival"] is not None]
    return (
        f"Of {len(rows)} searches {sum(row['outcome'] == 'kept' for row in rows)} ended with a "
        f"proof, and of {sum(map(holds, rows))} the test split measures what was asked. "
        f"{sum(map(met, barred))} of {len(barred)} targets are met; "
        f"{sum(map(ahead, against))} of {len(against)} are at least as fast as the fastest rival "
        "that keeps what was asked."
    )


def _stands(row: Row) -> str:
    told = []
    if row["chosen"] is None:
        told.append("nothing was chosen")
    elif not met(row):
        told.append(
            f"{times_over(row, 'int8_hf')} of {row['bar']:g}×"
            + ("" if holds(row) else f", and the test split measures {tested(row)}")
        )
    if row["chosen"] is not None and not ahead(row):
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
