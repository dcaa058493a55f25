"""How systems look on the front: one symbol and colour per family, hollow where nothing is proven.

the teacher in PyTorch, and in other forms   what a user has today
the simplest rival                           what a user can fit in seconds
n-grams, students, cascades                  what a search finds
the star                                     what was chosen
"""

from dataclasses import dataclass
from itertools import cycle

from leanformer.report.lineup import Lineup, System

_BASES = ("square", "cross", "triangle-down", "x")
_FOUND = {
    "hashed-ngrams": ("n-grams", "triangle-up", "var(--ngrams)"),
    "cascade": ("Cascades", "hexagon", "var(--cascade)"),
}
_STUDENTS = ("Students", "circle", "var(--kept)")


@dataclass(frozen=True, kw_only=True)
class Family:
    """Systems that look alike, and how; of hollow ones only the outline has their colour."""

    name: str
    symbol: str
    color: str
    systems: list[System]
    size: int = 11
    hollow: bool = False


def families(field: Lineup, placed: list[System]) -> list[Family]:
    """`placed` by family, the chosen system last, so that it is drawn above the others."""
    made = _bases(field, placed)
    found = [s for s in placed if s.role == "candidate" and s is not field.exported]
    for looks in (_STUDENTS, *_FOUND.values()):
        name, symbol, color = looks
        alike = [s for s in found if _FOUND.get(s.system, _STUDENTS) is looks]
        if field.keep is None:  # nothing was asked, so that nothing can be proven
            made.append(Family(name=name, symbol=symbol, color=color, systems=alike))
            continue
        for proven in (True, False):
            made.append(
                Family(
                    name=f"{name}, {'proven' if proven else 'not proven'}",
                    symbol=symbol,
                    color=color,
                    hollow=not proven,
                    systems=[s for s in alike if s.proven is proven],
                )
            )
    if field.exported is not None and field.exported in placed:
        made.append(_star(field.exported, asked=field.keep is not None))
    return [family for family in made if family.systems]


def _bases(field: Lineup, placed: list[System]) -> list[Family]:
    """Each of what a user has today by itself."""
    symbols, rivals, made = cycle(_BASES), cycle(("pentagon", "diamond-tall")), []
    for system in placed:
        if system.role == "candidate" or system is field.exported:
            continue
        if system is field.teacher:
            symbol, color = "diamond", "var(--teacher)"
        elif system.system == "transformer":
            symbol, color = next(symbols), "var(--baseline)"
        else:
            symbol, color = next(rivals), "var(--rival)"
        made.append(Family(name=system.name, symbol=symbol, color=color, size=12, systems=[system]))
    return made


def _star(system: System, *, asked: bool) -> Family:
    hollow = asked and system.role == "candidate" and not system.proven
    return Family(
        name=f"Chosen: {system.name}" + (", not proven" if hollow else ""),
        symbol="star",
        color="var(--chosen)",
        hollow=hollow,
        size=19,
        systems=[system],
    )
