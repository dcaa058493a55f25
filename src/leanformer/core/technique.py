"""The registry: a technique is a frozen dataclass of hyperparameters, found by its name.

    @technique("soft-targets", paper="Hinton et al. 2015, arXiv:1503.02531")
    class SoftTargets(Objective):
        \"\"\"Match the teacher's softened class probabilities.\"\"\"

        temperature: float = 2.0
        \"\"\"Divides both logits; higher shows more of the teacher's dark knowledge.\"\"\"

An interface is an abstract class with a `family`; the decorator freezes the technique, makes its
fields keyword-only and lists it under that family. Docstrings below the fields are read for
`leanformer show` and the reference.
"""

import ast
import dataclasses
import difflib
import inspect
import itertools
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar, cast, dataclass_transform

from leanformer.core.ranges import ranged
from leanformer.core.shown import shown

T = TypeVar("T", bound=type)

_registry: dict[str, dict[str, type]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def technique(name: str, *, paper: str) -> Callable[[T], T]:
    """Freeze a class, let it check the ranges of its numbers, and register it.

    Args:
        name: How recipes call it: lower case, with hyphens.
        paper: Author, year and identifier of the source; "" where there is none.
    """

    def register(cls: T) -> T:
        made: Any = dataclasses.dataclass(frozen=True, kw_only=True)(ranged(cls))
        made.technique = name
        made.paper = paper
        family = _registry.setdefault(made.family, {})
        other = family.get(name)
        assert other is None or other.__qualname__ == made.__qualname__, f"{name} is taken"
        family[name] = made
        return cast(T, made)

    return register


def families() -> dict[str, dict[str, type]]:
    """Every registered technique: family -> name -> class."""
    return {family: dict(sorted(members.items())) for family, members in sorted(_registry.items())}


def find(name: str, family: str | None = None) -> type:
    """The technique called `name`, in `family` or in any.

    Raises:
        ValueError: There is none; the message has the nearest name and the list.
    """
    pools = [_registry.get(family, {})] if family else list(_registry.values())
    for pool in pools:
        if name in pool:
            return pool[name]
    known = sorted({key for pool in pools for key in pool})
    where = f"{family} technique" if family else "technique"
    raise ValueError(
        f"{shown(name)} is no {where}{nearest(name, known)}; there are: {', '.join(known)}"
    )


def nearest(name: str, known: list[str]) -> str:
    """`, did you mean 'x'?` when something in `known` is close to `name`, else nothing."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def field_docs(cls: type) -> dict[str, str]:
    """The docstring below each field of a technique and of the classes it derives from."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for node, after in itertools.pairwise(body):
            if isinstance(node, ast.AnnAssign) and _is_text(after):
                docs[node.target.id] = inspect.cleandoc(after.value.value)  # type: ignore[union-attr,attr-defined]
    return docs


def _is_text(node: Any) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
