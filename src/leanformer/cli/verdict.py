"""The end of a command that makes a promise: the verdict as last lines, and as exit code."""

from pathlib import Path

import typer


def tell_verdict(record: Path) -> None:
    """Print the verdict of a record.

    Raises:
        typer.Exit: With 3 where the promise is not proven, and with 4 where it is not kept.
    """
    from leanformer.report import promise_lines, sentence
    from leanformer.report.events import load
    from leanformer.search.outcome import EXIT_CODES

    events = load(record)
    typer.echo("")
    for line in [sentence(events), *promise_lines(events)]:
        typer.echo(line)
    assert events.verdict is not None
    chosen = events.verdict.get("chosen")
    # Records of earlier versions say nothing about proof.
    outcome = events.verdict.get("outcome") or ("unproven" if chosen else "not kept")
    code = EXIT_CODES[outcome]  # type: ignore[index]
    if code:
        raise typer.Exit(code)
