"""The page of `promises.py`: each cell beside its target."""

from typing import Any

from foundation_tables import RESULTS

from leanformer.core.storage.files import write_text

CELL, ALL = 0.86, 0.90  # promises that must hold: in each cell, and over all
FEW = 50  # cells with fewer promises are not judged
SYSTEMS = ("int8", "two-thirds", "half", "third", "tfidf-svm")  # slowest first


def write_page(events: list[dict[str, Any]]) -> None:
    """Write docs/results/promises.md."""
    write_text(RESULTS / "promises.md", page(events))


def page(events: list[dict[str, Any]]) -> str:
    """The page, from what was simulated."""
    choices = [{**event, **choice} for event in events for choice in event["choices"]]
    lines = [
        TOP.format(draws=spread([event["draws"] for event in events])),
        *summary(events, choices),
        POOLS,
        *dict.fromkeys(pool(event) for event in events),
        ONE,
        *(one_student(event) for event in events),
        CHOICES.format(few=FEW),
        *(choice(each) for each in choices),
    ]
    return "\n".join(lines) + "\n"


def summary(events: list[dict[str, Any]], choices: list[dict[str, Any]]) -> list[str]:
    """Both kinds of promises beside their targets, the other rules below."""
    bounds = [(count, event["draws"]) for event in events for count in event["covered"].values()]
    lines = [line("one student", bounds)]
    named = {"bound": "a choice", "plain": "a choice by plain `dev >= keep`"}
    for rule, name in named.items():
        lines.append(line(name, [counts(each, rule) for each in choices]))
    exactly = [each for each in choices if each["metric"] == "accuracy"]
    lines.append(line("a choice, accuracy alone", [counts(each, "bound") for each in exactly]))
    lines.append(line("the same by the exact bound", [counts(each, "exact") for each in exactly]))
    searches = sum(each["draws"] for each in choices)
    held, made = total([counts(each, "bound") for each in choices])
    few = [counts(each, "bound") for each in choices if not judged(*counts(each, "bound"))]
    few_held, few_made = total(few)
    return [
        *lines,
        "",
        f"Of {searches:,} searches {made / searches:.0%} ended with a promise, and "
        f"{(made - held) / searches:.1%} with one that does not hold.",
        f"The {len(few)} cells that are not judged have {few_made} promises among them, of which "
        f"{few_held} hold.",
    ]


def line(name: str, cells: list[tuple[int, int]]) -> str:
    """One kind of promise: how many hold, and in how many cells enough of them do."""
    held, made = total(cells)
    enough = [cell for cell in cells if judged(*cell)]
    met = [cell for cell in enough if cell[0] >= CELL * cell[1]]
    least = min(enough, key=lambda cell: cell[0] / cell[1])
    return row(
        name,
        f"{made:,}",
        f"{held / made:.1%}{missed(held < ALL * made)}",
        f"{len(met)} of {len(enough)}{missed(len(met) < len(enough))}",
        f"{least[0] / least[1]:.1%} ({least[0]} of {least[1]})",
    )


def pool(event: dict[str, Any]) -> str:
    """What the systems of one data set truly keep."""
    kept = [f"{event['kept'][s]:.2%}" if s in event["kept"] else "–" for s in SYSTEMS]
    return row(
        event["data"], event["metric"], f"{event['pool']:,}", f"{event['teacher']:.4f}", *kept
    )


def one_student(event: dict[str, Any]) -> str:
    """How often the lower bound of each system is not above the truth."""
    cells = []
    for system in SYSTEMS:
        count, draws = event["covered"].get(system), event["draws"]
        cells.append("–" if count is None else f"{count / draws:.1%}{missed(count < CELL * draws)}")
    return row(event["data"], event["metric"], f"{event['size']:,}", *cells)


def choice(each: dict[str, Any]) -> str:
    """How many promises a choice made, and how many of them hold."""
    held, made = counts(each, "bound")
    below = judged(held, made) and held < CELL * made
    exact = [rate(*counts(each, "exact"), each["draws"])] if "exact" in each["made"] else ["–"]
    return row(
        each["data"],
        each["metric"],
        f"{each['size']:,}",
        f"{each['keep']:.0%}",
        f"{made / each['draws']:.0%}",
        (f"{held / made:.1%}{missed(below)}" if judged(held, made) else f"({held} of {made})"),
        f"{(made - held) / each['draws']:.1%}",
        rate(*counts(each, "plain"), each["draws"]),
        *exact,
    )


def rate(held: int, made: int, draws: int) -> str:
    """Share of searches with a promise, and share of promises that hold."""
    return f"{made / draws:.0%}, {held / made:.1%}" if judged(held, made) else f"({held} of {made})"


def counts(each: dict[str, Any], rule: str) -> tuple[int, int]:
    """Promises that hold, and promises that were made."""
    return each["held"].get(rule, 0), each["made"].get(rule, 0)


def total(cells: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(held for held, _ in cells), sum(made for _, made in cells)


def judged(held: int, made: int) -> bool:
    assert held <= made
    return made >= FEW


def missed(below: bool) -> str:
    return " **missed**" if below else ""


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values: list[int]) -> str:
    """One number, or the least and the largest."""
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


TOP = """# Do promises hold?

Generated by `python benchmarks/promises.py page` from `promises.jsonl` and
`promises-simulation.jsonl`; the first lines of that script say how these are made.

`--keep 0.99` promises, with 90 % confidence, that a system keeps 99 % of its teacher's quality.
Here the answers of real systems to a whole test split are the truth. {draws} dev sets of each
size are drawn from them with replacement, and the library makes its promises on each. A cell is
one data set, metric, dev size and system, or share that is asked for. Targets: at least 90 % of
all promises hold, and at least 86 % in every cell. The standard error of a cell where 90 % hold is
1.5 points with 400 promises and 3 with 100, so that a cell near the target may lie on either side
of it by chance. Not simulated: a student's weights that were chosen by the same dev set during
training, and candidates that a search tried because of it. Where a system keeps far more or far
less than is asked for, every rule is right; the share of all promises that hold depends on how many
cells are of that kind, and *one student*, where nothing is easy, is the harder test.

- **one student**: "it keeps at least L", L its 90 % lower bound (paired Bayesian bootstrap with
  one unseen failure added). It holds where L is not above the truth.
- **a choice**: "it keeps at least `keep`", of the fastest system that is proven, tested in
  sequence from the slowest to the fastest. Where none is proven there is no promise.
- **plain**: the fastest system whose estimate on dev is at least `keep`.
- **exact bound**: the same sequence by Clopper and Pearson's bound of the teacher's right answers
  that the student gives too; texts that only the student answers rightly win it nothing.

| promise | made | hold | cells at 86 % or more | lowest cell |
|---|---|---|---|---|"""
POOLS = """
## Systems

A fine-tuned MiniLM-L6 is the teacher. *int8*: the same in OpenVINO int8; *two-thirds*, *half*,
*third*: students with 4, 3 and 2 of its layers, in int8; *tfidf-svm*: n-grams of words and
characters with a linear SVM. *pool* is the number of texts; the last five columns are the share of
the teacher's quality that each truly keeps.

| data | metric | pool | teacher | int8 | two-thirds | half | third | tfidf-svm |
|---|---|---|---|---|---|---|---|---|"""
ONE = """
## One student

How often the lower bound is not above the truth.

| data | metric | dev | int8 | two-thirds | half | third | tfidf-svm |
|---|---|---|---|---|---|---|---|"""
CHOICES = """
## Choices

*made*: searches that ended with a promise. *hold*: how many of these promises are true. *broken*:
searches that ended with a false promise; the method bounds this share by 10 %, whatever the
systems are. *plain*, *exact bound*: made and hold by these rules. Cells with fewer than {few}
promises are given as counts in brackets and not judged: where no system truly keeps the share that
is asked for, every promise is false, and all that a method can do is to make few.

| data | metric | dev | keep | made | hold | broken | plain | exact bound |
|---|---|---|---|---|---|---|---|---|"""
