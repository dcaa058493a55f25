"""`leanformer report record.jsonl`: the page of a run."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    record: Annotated[
        Path,
        typer.Argument(help="record.jsonl or a training's events.jsonl, or a folder with one."),
    ],
    out: Annotated[Path | None, typer.Option(help="HTML file; report.html beside it.")] = None,
) -> None:
    """Write the HTML report of a record."""
    from leanformer.report import write_report
    from leanformer.report.training import write_training_page

    path = record
    if record.is_dir():
        events = record / "events.jsonl"
        path = events if events.is_file() else record / "record.jsonl"
    write = write_training_page if path.name == "events.jsonl" else write_report
    typer.echo(write(path, out or path.parent / "report.html"))
