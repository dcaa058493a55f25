"""`leanformer index TEXTS --encoder MODEL --out FOLDER`: make texts searchable."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leanformer.cli.training_progress import span

if TYPE_CHECKING:
    from leanformer.retrieve.searching import Indexed, IndexProgress


def index(
    texts: Annotated[
        Path,
        typer.Argument(help="Folder of .txt and .md files, or csv, tsv, json, jsonl, parquet."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the index.")],
    encoder: Annotated[
        str | None, typer.Option(help="Folder or hub name of an embedding model.")
    ] = None,
    dense: Annotated[
        bool, typer.Option("--dense/--no-dense", help="Embed passages; without it, BM25 alone.")
    ] = True,
    bm25: Annotated[
        bool | None, typer.Option("--bm25/--no-bm25", help="Index terms; by default yes.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column of the text; else a usual name.")] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Column of the ids; else a usual name, or the line.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Units of the longest passage; by default 200.")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Units shared with the passage before; a fifth of --size.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="words, or tokens of the encoder (the default with one).")
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(help="Share of the ten nearest passages that the index must find; 0.95."),
    ] = None,
    prefer: Annotated[
        str | None, typer.Option(help="latency (the default), throughput or memory.")
    ] = None,
    skip_errors: Annotated[
        bool, typer.Option(help="Leave out documents that cannot be read, and go on.")
    ] = False,
    threads: Annotated[int | None, typer.Option(help="Threads; all cores without it.")] = None,
) -> None:
    """Cut texts into passages and index them; stopped or called again, it does what is left.

    Called again, it embeds new and changed texts, and removes what is gone.
    """
    from leanformer.core.machine.threads import check_threads
    from leanformer.retrieve.searching import Asked, Texts, index_texts
    from leanformer.retrieve.searching.description import NAME, read_description

    check_threads(threads, "--threads")
    if not dense and encoder is not None:
        raise ValueError("--no-dense, --encoder: leave one of them out")
    exists = (out / NAME).exists()
    if exists and not dense and read_description(out).dense:
        raise ValueError(
            f"--no-dense: {out} was made with vectors; leave it out, or index the texts into "
            "another folder"
        )
    if dense and encoder is None and not exists:
        raise ValueError(
            f"--encoder: name the model that embeds the texts; without one, BM25 alone is indexed "
            f"by --no-dense ({out} is new)"
        )
    wanted: dict[str, Any] = {"target_recall": recall, "prefer": prefer}
    watcher = _Watcher()
    done = index_texts(
        Texts(path=texts, text=text, id=id_),
        out,
        Asked(encoder=encoder, bm25=bm25, size=size, overlap=overlap, unit=unit),  # type: ignore[arg-type]
        skip_errors=skip_errors,
        threads=threads,
        watch=watcher,
        command=shlex.join(["leanformer", *sys.argv[1:]]),
        **{name: value for name, value in wanted.items() if value is not None},
    )
    watcher.end()
    for reason in done.unreadable:
        typer.echo(f"left out: {reason}", err=True)
    typer.echo(_said(done))
    typer.echo(f'search it: leanformer search {shlex.quote(str(out))} "your question"')


def _said(done: "Indexed") -> str:
    """What was done, in a line."""
    kept = done.passages - done.added
    return (
        f"{done.documents:,} documents, {done.passages:,} passages: {done.added:,} new, "
        f"{kept:,} as they were, {done.deleted:,} removed; {done.embedded:,} texts embedded"
    )


class _Watcher:
    """One line that moves on a terminal; in a log file a line now and then."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console: Any = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._said, self._what, self._moving = 0.0, "", False

    def __call__(self, news: "IndexProgress") -> None:
        """Show how far it is."""
        now, moves = time.monotonic(), sys.stderr.isatty()
        if news.what == self._what and not moves and now - self._said < 20:
            return
        self._said, self._what = now, news.what
        left = "" if news.left is None else f"  {span(news.left)} left"
        passages = f"  {news.passages:,} passages" if news.passages else ""
        line = f"{news.what}  {news.share:.0%}{passages}{left}"
        if moves:
            self.console.print(f"{line:<70}", end="\r", overflow="ellipsis", no_wrap=True)
            self._moving = True
        else:
            self.console.print(line)

    def end(self) -> None:
        """Leave the line that moves."""
        if self._moving:
            self.console.print()
