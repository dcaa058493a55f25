"""`leanformer predict DIR --in texts.txt`: answers of an exported model, one JSON line a text."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer


def predict(
    folder: Annotated[Path, typer.Argument(help="Folder that leanformer exported.")],
    in_: Annotated[Path, typer.Option("--in", help="txt, tsv, csv or jsonl of texts.")],
    out: Annotated[Path | None, typer.Option(help="File of answers; stdout without it.")] = None,
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    pair: Annotated[str | None, typer.Option(help="Column of the second text.")] = None,
    backend: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or pytorch; the winner without it.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; all cores without it.")] = None,
) -> None:
    """Answer every text of a file, in its order."""
    from leanformer.core.files import write_text
    from leanformer.data.table import read_rows
    from leanformer.runtime.predictor import load

    rows = read_rows(in_)
    for column in (text, pair):
        if column is not None and column not in rows[0]:
            raise ValueError(f"{in_}: no column {column!r}; there are: {', '.join(rows[0])}")
    texts = [row[text] for row in rows]
    pairs = [row[pair] for row in rows] if pair else None
    predictor = load(folder, backend, threads)  # type: ignore[arg-type]
    if predictor.manifest.kind == "embedding":
        answers: list[Any] = [vector.tolist() for vector in predictor.encode(texts)]
    else:
        answers = predictor.predict(texts, pairs)
    lines = "".join(json.dumps(_plain(answer), ensure_ascii=False) + "\n" for answer in answers)
    if out is None:
        typer.echo(lines, nl=False)
    else:
        write_text(out, lines)
    padding = predictor.padding
    typer.echo(
        f"{len(texts)} texts, {padding.real} tokens, {padding.padded} with padding", err=True
    )


def _plain(answer: Any) -> Any:
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return dataclasses.asdict(answer)
    return [_plain(item) for item in answer] if isinstance(answer, list) else answer
