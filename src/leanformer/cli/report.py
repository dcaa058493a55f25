"""`leanformer report record.jsonl`: the page of a run."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    record: Annotated[Path, typer.Argument(help="record.jsonl, or a folder that holds one.")],
    out: Annotated[Path | None, typer.Option(help="HTML file; report.html beside it.")] = None,
) -> None:
    """Write the HTML report of a record."""
    from leanformer.report import write_report

    path = record / "record.jsonl" if record.is_dir() else record
    typer.echo(write_report(path, out or path.parent / "report.html"))
