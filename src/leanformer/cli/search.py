"""`leanformer search FOLDER "question"`: the passages that answer it, and where they are from."""

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from leanformer.retrieve.searching import Hit

_CONDITION = re.compile(r"([^=!<>]+)(>=|<=|!=|==?|<|>)(.*)", re.DOTALL)
_AT_ONCE = 64  # questions of a file that are embedded together


def search(
    folder: Annotated[Path, typer.Argument(help="Folder that `leanformer index` made.")],
    questions: Annotated[
        list[str] | None, typer.Argument(help="Questions; without any, lines of stdin.")
    ] = None,
    in_: Annotated[
        Path | None, typer.Option("--in", help="File with a question per line, or a table.")
    ] = None,
    column: Annotated[str, typer.Option(help="Column of the questions in a table.")] = "text",
    by: Annotated[
        str | None, typer.Option(help="fused, dense or bm25; by default all that there is, fused.")
    ] = None,
    rerank: Annotated[
        str | None, typer.Option(help="Folder of a cross-encoder that orders the first ones anew.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Passages per question.")] = 5,
    where: Annotated[
        list[str] | None, typer.Option(help="source=notes/a.md, year>=1960; may be repeated.")
    ] = None,
    reranked: Annotated[int, typer.Option(help="Passages that the cross-encoder reads.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per question.")] = False,
    encoder: Annotated[
        str | None, typer.Option(help="The encoder, where it has moved since.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; all cores without it.")] = None,
) -> None:
    """Find passages by terms (BM25) and by meaning (vectors), and show where they are from."""
    from leanformer.core.machine.threads import check_threads
    from leanformer.retrieve.searching import Searcher

    check_threads(threads, "--threads")
    if questions and in_ is not None:
        raise ValueError("--in: questions are given already; leave one of them out")
    asked = _questions(questions, in_, column)
    filters = _filters(where or [])
    searcher = Searcher.open(
        folder,
        threads=threads,
        reranker=rerank,
        encoder=encoder,
        by=by,  # type: ignore[arg-type]
    )
    show = _json if as_json else _Page()
    for some in asked:
        found = searcher.search(
            some, k, rerank=rerank is not None, where=filters, reranked=reranked
        )
        for question, hits in zip(some, found, strict=True):
            show(question, hits)


def _questions(given: list[str] | None, file: Path | None, column: str) -> Iterator[list[str]]:
    """The questions, as many at once as are there; those of a prompt one by one."""
    if given:
        return iter([given])
    if file is not None:
        from leanformer.data.inputs import read_texts

        texts, _ = read_texts(file, column)
        return (texts[at : at + _AT_ONCE] for at in range(0, len(texts), _AT_ONCE))
    return _prompted()


def _prompted() -> Iterator[list[str]]:
    """Lines of stdin; blank ones are passed over."""
    from leanformer.text.texts import repair

    asks = sys.stdin.isatty()
    while True:
        if asks:
            typer.echo("question: ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield [repair(line.strip())]


def _filters(given: list[str]) -> dict[str, Any] | None:
    """`name=value`, or another comparison, as conditions on metadata, of which all must hold.

    Raises:
        ValueError: One has another form.
    """
    conditions: list[dict[str, Any]] = []
    for one in given:
        match = _CONDITION.fullmatch(one)
        if match is None:
            raise ValueError(
                f"--where: {one!r} is not of the form name=value, name!=value or name>=value"
            )
        name, sign, written = match.groups()
        values = _values(written)
        if sign in ("=", "=="):
            conditions.append({name: {"in": values}})
        elif sign == "!=":
            conditions += [{name: {"!=": value}} for value in values]
        else:
            conditions.append({name: {sign: values[-1]}})
    return {"and": conditions} if conditions else None


def _values(written: str) -> list[Any]:
    """What a value may stand for: itself, and a number; in quotes, the text alone."""
    try:
        found = json.loads(written)
    except ValueError:
        return [written]
    if isinstance(found, str):
        return [found]
    number = isinstance(found, int | float) and math.isfinite(found)
    return [written, found] if number else [written]


def _json(question: str, hits: "list[Hit]") -> None:
    line = {"query": question, "hits": [asdict(hit) for hit in hits]}
    typer.echo(json.dumps(line, ensure_ascii=False))


class _Page:
    """Shows hits on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        # Passages may hold brackets, which are markup to the console.
        self.console: Console = Console(highlight=False, markup=False, emoji=False)

    def __call__(self, question: str, hits: "list[Hit]") -> None:
        """Show the answers to a question."""
        from rich.text import Text

        self.console.print(Text(question, style="bold"))
        if not hits:
            self.console.print("  nothing was found")
        for rank, hit in enumerate(hits, 1):
            scores = "  ".join(f"{name} {score:.3f}" for name, score in hit.scores.items())
            head = Text(f"{rank:>2}. ")
            head.append(_place(hit), style="cyan")
            head.append(f"  {scores}", style="dim")
            self.console.print(head)
            self.console.print(Text(" ".join(hit.text.split())), soft_wrap=False)
            self.console.print()


def _place(hit: "Hit") -> str:
    """Where a passage is from: its file or document, and its characters."""
    name = hit.key.rsplit(":", 2)[0]
    about = hit.metadata
    if "start_char" in about and "end_char" in about:
        return f"{name} [{about['start_char']}-{about['end_char']}]"
    return name
