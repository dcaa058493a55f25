"""The end of a command that was asked for its plan alone."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from leanformer.search.planning.plan import Plan


def tell_plan(plan: "Plan") -> None:
    """Print a plan, and that nothing else was done."""
    from leanformer.report import plan_lines

    for line in plan_lines(asdict(plan)):
        typer.echo(line)
    typer.echo("\nNothing was trained or written; without --dry-run it begins.")
