"""`leanformer compare A B`: two runs side by side."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[Path, typer.Argument(help="record.jsonl, or a folder that holds one.")],
    second: Annotated[Path, typer.Argument(help="The other one.")],
    out: Annotated[Path | None, typer.Option(help="Also write an HTML page here.")] = None,
) -> None:
    """Compare two runs: quality, time, memory, size."""
    from leanformer.report import compare as table
    from leanformer.report import write_comparison

    a, b = (path / "record.jsonl" if path.is_dir() else path for path in (first, second))
    typer.echo(table(a, b))
    if out is not None:
        typer.echo(write_comparison(a, b, out))
